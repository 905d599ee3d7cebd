"""Phrases of a passage that may answer a question, by rules that need no model.

Dates, numbers and names are found by their form (`retune.tasks.qa.analyse.answer_types`). Other
phrases are English words side by side, such as `coastal trade`, without function words between
them. Some answers are longer: two phrases that `and` or `of` joins (`Vienna and Philadelphia`), an
amount with its unit (`656 square miles`), and a reason or a means (what follows `because`).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from retune.tasks.qa.analyse.answer_types import Form, candidates
from retune.tasks.qa.analyse.english import (
    AUXILIARIES,
    DETERMINERS,
    PREPOSITIONS,
    PRONOUNS,
    SUBORDINATORS,
    is_participle,
    words_of,
)

#: Words of English that say little by themselves.
FUNCTION_WORDS = (
    DETERMINERS
    | PREPOSITIONS
    | PRONOUNS
    | AUXILIARIES
    | SUBORDINATORS
    | words_of(
        "also although and as be been being both but even either few how however it its just many "
        "may me might more most much neither no nor not once only or other others our out own same "
        "shall so some still such than them then there therefore thus too until up us very well "
        "why yet your him himself herself itself themselves later often"
    )
)
WORD = re.compile(r"[^\W_]+(?:['\u2019.,\-\u2013][^\W_]+)*%?")
_CURRENCY = ("$", "\u00a3", "\u20ac", "\u00a5")
_JOINING = frozenset((" of ", " of the ", " and "))
_REASON = re.compile(
    r"\b(?:because(?: of)?|due to|in order to|so that|by(?= \w+ing\b)) "
    r"([\w '\u2019-]{8,60})(?=[.,;])"
)
_CENTURY = re.compile(r"\b(?:\d{1,2}(?:st|nd|rd|th)|[a-z]+th|first|second|third) century\b")
_LONGEST = 60  # characters of a phrase
_MOST_WORDS = 4  # of a phrase that is no date, number or name


class Phrase(NamedTuple):
    """A phrase of a passage: its first character, the one behind its last, and its form."""

    start: int
    end: int
    form: Form


def answers(passage: str) -> list[Phrase]:
    """Return the phrases that people may ask for; some are inside of others."""
    found = phrases(passage)
    asked_for = (phrase for phrase in found if _is_asked_for(passage[phrase.start : phrase.end]))
    return [*asked_for, *_longer(passage, found)]


def _is_asked_for(text: str) -> bool:
    """Return whether a text is no single verb or adverb, and does not begin with `or`."""
    is_word = text[0].islower() and " " not in text
    first, *_ = text.lower().split()
    return first not in FUNCTION_WORDS and not (
        is_word and (is_participle(text) or text.endswith("ly"))
    )


def phrases(passage: str) -> list[Phrase]:
    """Return the phrases of a passage in their order; none is inside of another."""
    found = [Phrase(*match.span(), "date") for match in _CENTURY.finditer(passage)]
    for form in ("date", "number", "name"):
        free = (span for span in candidates(passage, form) if not _is_in(span, found))
        found += [Phrase(*span, form) for span in free]
    found = [_with_sign(phrase, passage) for phrase in found]
    found += [Phrase(*span, "words") for span in _runs(passage, found)]
    return sorted(phrase for phrase in found if phrase.end - phrase.start <= _LONGEST)


def _with_sign(phrase: Phrase, passage: str) -> Phrase:
    """Return a number with the currency sign in front of it."""
    is_money = phrase.form == "number" and passage[phrase.start - 1 : phrase.start] in _CURRENCY
    return phrase._replace(start=phrase.start - 1) if is_money else phrase


def _longer(passage: str, found: Sequence[Phrase]) -> Iterator[Phrase]:
    """Yield the longer answers, of which some are made of the phrases that were found."""
    for first, second in pairwise(found):
        between = passage[first.end : second.start]
        if between in _JOINING and {first.form, second.form} <= {"name", "words"}:
            yield Phrase(first.start, second.end, first.form)
        if between == " " and (first.form, second.form) == ("number", "words"):
            yield Phrase(first.start, second.end, "number")
    for match in _REASON.finditer(passage):
        yield Phrase(*match.span(1), "words")


def _runs(passage: str, found: list[Phrase]) -> Iterator[tuple[int, int]]:
    """Yield the spans of words side by side, few enough for a phrase.

    Function words and the phrases that were found are between them.
    """
    run: list[tuple[int, int]] = []
    for match in WORD.finditer(passage):
        if run and passage[run[-1][1] : match.start()] != " ":
            yield from _ends(run)
            run = []
        if match[0].lower() in FUNCTION_WORDS or _is_in(match.span(), found):
            yield from _ends(run)
            run = []
        else:
            run.append(match.span())
    yield from _ends(run)


def _ends(run: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    if 0 < len(run) <= _MOST_WORDS:
        yield run[0][0], run[-1][1]


def _is_in(span: tuple[int, int], phrases: list[Phrase]) -> bool:
    """Return whether a span touches one of the phrases."""
    return any(span[0] < phrase.end and phrase.start < span[1] for phrase in phrases)
