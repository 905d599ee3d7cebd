"""Split prose into sentences, and pair the first and the second sentence of each story.

`sentences` uses punctuation. A sentence ends at a full stop, question or exclamation mark, with the
quotes and brackets that close there, if white space follows and the next word does not begin with a
small letter. In scripts without small letters any letter may begin the next sentence. Marks of
other scripts that have no other use (`。`, `।`, `؟`, ...) end a sentence even without white space.
After a quotation with such a mark, a name looks like a new sentence ("Go!" Mary said).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from retune.tasks.language_model.tokenize.stories import Story

#: How a story is split; "full_stops" splits at each full stop and space, as the notebook does.
Cut = Literal["sentences", "full_stops"]

#: Chinese and Japanese; Devanagari; Arabic and Urdu; Ethiopic; Armenian; Khmer; Burmese; Tibetan.
_FULL = "\u3002\uff01\uff1f\uff61\u0964\u0965\u061f\u06d4\u1362\u0589\u17d4\u17d5\u104b\u0f0d"
_CLOSING = r"""["'\u2019\u201d\u00bb)\]\u300d\u300f\u300b\u3011\uff09]*"""
_MARK = re.compile(
    rf"""[.!?\u2026]*(?:[{_FULL}]|\uff0e(?!\d))[.!?\u2026{_FULL}]*{_CLOSING}\s*(?=[^\s])"""
    rf"""|[.!?\u2026]+{_CLOSING}\s+(?=["'\u2018\u201c\u00ab(\[\u00bf\u00a1]*(\w))"""
)
_PARAGRAPH = re.compile(r"\n\s*\n")
#: Before a full stop that ends no sentence, in small letters.
_ABBREVIATIONS = {
    *("mr", "mrs", "ms", "messrs", "mme", "mlle", "dr", "st", "prof", "rev", "hon", "sen", "rep"),
    *("gov", "capt", "col", "gen", "lt", "sgt", "maj", "mt", "ft", "fig", "vs", "cf", "e.g", "i.e"),
    *("jan", "feb", "aug", "sept", "oct", "nov", "dec"),
}
_LAST_WORD = re.compile(r"[\w.]*$")


class Pair(NamedTuple):
    """The first two sentences of a story."""

    first: str
    second: str


class Pairs(NamedTuple):
    """Pairs, and the places of stories without a second sentence."""

    pairs: list[Pair]
    skipped: list[str]


def sentences(text: str) -> list[str]:
    """Split a text into sentences; runs of white space, such as line breaks, become one space.

    A blank line always ends a sentence.
    """
    return [found for part in _PARAGRAPH.split(text) for found in _of_paragraph(part)]


def sentence_pairs(stories: Iterable[Story], cut: Cut) -> Pairs:
    """Pair the first two sentences of each story that has two."""
    pairs, skipped = [], []
    for story in stories:
        parts = sentences(story.text) if cut == "sentences" else _between_stops(story.text)
        if len(parts) < 2:
            skipped.append(story.place)
            continue
        pairs.append(Pair(*parts[:2]))
    return Pairs(pairs, skipped)


def _of_paragraph(text: str) -> Sequence[str]:
    text = " ".join(text.split())
    begin, found = 0, []
    for mark in _MARK.finditer(text):
        if _ends(text[begin : mark.start()], mark):
            found.append(text[begin : mark.end()].rstrip())
            begin = mark.end()
    rest = text[begin:]
    return [*found, rest] if rest else found


def _ends(before: str, mark: re.Match[str]) -> bool:
    """Whether the text `before` a mark ends there as a sentence."""
    after = mark[1]
    if after is None:  # a mark that ends sentences alone
        return True
    if not after.isalnum() or after.title() != after:
        return False
    if not re.match(r"\.\s", mark[0]):  # a single full stop alone may stand for letters left out
        return True
    found = _LAST_WORD.search(before)
    word = found[0] if found else ""
    is_initial = len(word) == 1 and word.isalpha() and not word.islower() and word != "I"
    return not is_initial and word.lower() not in _ABBREVIATIONS


def _between_stops(text: str) -> Sequence[str]:
    """Split at full stops that are followed by a space; each part keeps its stop."""
    parts = [part.strip() for part in text.split(". ")]
    ended = [f"{part}." for part in parts[:-1]] + parts[-1:]
    return [part for part in ended if part.strip(".")]
