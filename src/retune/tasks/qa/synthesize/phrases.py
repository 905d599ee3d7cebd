"""Phrases of a passage that may answer a question, by rules that need no model.

Dates, numbers and names are found by their form (`retune.tasks.qa.analyse.answer_types`). Other
phrases are English words side by side, such as `coastal trade`, without function words between
them.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from retune.tasks.qa.analyse.answer_types import Form, candidates
from retune.tasks.qa.analyse.english import (
    AUXILIARIES,
    DETERMINERS,
    PREPOSITIONS,
    PRONOUNS,
    SUBORDINATORS,
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
_LONGEST = 60  # characters of a phrase
_MOST_WORDS = 4  # of a phrase that is no date, number or name


class Phrase(NamedTuple):
    """A phrase of a passage: its first character, the one behind its last, and its form."""

    start: int
    end: int
    form: Form


def phrases(passage: str) -> list[Phrase]:
    """Return the phrases of a passage in their order; none is inside of another."""
    found: list[Phrase] = []
    for form in ("date", "number", "name"):
        free = (span for span in candidates(passage, form) if not _is_in(span, found))
        found += [Phrase(*span, form) for span in free]
    found += [Phrase(*span, "words") for span in _runs(passage) if not _is_in(span, found)]
    return sorted(phrase for phrase in found if phrase.end - phrase.start <= _LONGEST)


def _runs(passage: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of words side by side that are no function words, few enough for a phrase."""
    run: list[tuple[int, int]] = []
    for match in WORD.finditer(passage):
        if run and passage[run[-1][1] : match.start()] != " ":
            yield from _ends(run)
            run = []
        if match[0].lower() in FUNCTION_WORDS:
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
