"""Sentences of English prose, and pairs of the first and the second one of each story.

`sentences` goes by punctuation: a sentence ends at a full stop, question or exclamation mark, with
the quotes and brackets that close there, where a capital letter or a figure begins the next one.
After a quotation that ends in such a mark a name looks like a new sentence ("Go!" Mary said).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from retune.language_model.stories import Story

#: How a story is cut; "full_stops" is the notebook's way, at each full stop and space.
Cut = Literal["sentences", "full_stops"]

_MARK = re.compile(r"""[.!?\u2026]+["'\u2019\u201d)\]]*\s+(?=["'\u2018\u201c(\[]*(\w))""")
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
    """Pairs, and the places of the stories that have no second sentence."""

    pairs: list[Pair]
    skipped: list[str]


def sentences(text: str) -> list[str]:
    """The sentences of a text; runs of white space, such as line breaks, become one space.

    A blank line ends a sentence, whatever stands before it.
    """
    return [found for part in _PARAGRAPH.split(text) for found in _of_paragraph(part)]


def sentence_pairs(stories: Iterable[Story], cut: Cut) -> Pairs:
    """The first two sentences of each story that has two."""
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
    """Whether the sentence that is `before` a mark ends there."""
    after = mark[1]
    if not (after.isupper() or after.isdigit()):
        return False
    if not re.match(r"\.\s", mark[0]):  # a single full stop alone may stand for letters left out
        return True
    found = _LAST_WORD.search(before)
    word = found[0] if found else ""
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return not is_initial and word.lower() not in _ABBREVIATIONS


def _between_stops(text: str) -> Sequence[str]:
    """The parts between full stops with a space behind them; each keeps its own stop."""
    parts = [part.strip() for part in text.split(". ")]
    ended = [f"{part}." for part in parts[:-1]] + parts[-1:]
    return [part for part in ended if part.strip(".")]
