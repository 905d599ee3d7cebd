"""Phrases of a passage that may answer a question, by rules that need no model.

Dates, numbers and names are found by their form (`retune.tasks.qa.analyse.answer_types`). Other
phrases are English words side by side, such as `coastal trade`, without function words between
them. Some answers are longer: two phrases with `and` or `of` between them (`Vienna and
Philadelphia`), an amount with its unit (`656 square miles`), and a reason or a means (the words
behind `because`).
"""

import re
import unicodedata
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
#: Prepositions in front of a time.
OF_TIME = words_of("in on at since by during from until between before after")
CURRENCIES = "$\u00a3\u20ac\u00a5"
#: Accents that are characters of their own, in Latin, Hebrew, Arabic and Hindi.
_MARKS = "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
_LETTERS = rf"(?:[^\W_][{_MARKS}]*)+"
WORD = re.compile(rf"{_LETTERS}(?:['\u2019.,\-\u2013]{_LETTERS})*%?")
#: Nouns that end like verbs and adverbs.
_NOUNS = words_of(
    "family assembly monopoly supply reply ally lily building painting spring king ring wing "
    "string thing morning evening housing meeting ceiling wedding clothing writing bed seed"
)
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first"
)
_CENTURY = re.compile(
    rf"(?<![\w-])(?:\d{{1,2}}(?:st|nd|rd|th)|{_ORDINALS.replace(' ', '|')})"
    r" centur(?:y|ies)\b(?: (?:BCE?|AD|CE)\b)?",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:1\d|20)\d\ds?")
_JOINING = frozenset((" of ", " of the ", " and "))
_REASON = re.compile(
    r"\b(?:because of|because(?! of)|due to|in order to|so that"
    r"|by(?! (?:king|spring|evening|morning|being|\w*thing)\b)(?= [a-z]{2,}ing\b)) "
    r"([\w '\u2019-]{8,60})(?<!\bDr)(?<!\bMr)(?<!\bSt)(?<!\b[A-Z])(?=[.,;](?!\d))"
)
_NEAR = 20  # characters in front of a phrase that are looked at
_LONGEST = 60  # characters of a phrase
_MOST_WORDS = 4  # of a phrase that is no date, number or name


class Phrase(NamedTuple):
    """A phrase of a passage: its first character, the one behind its last, and its form."""

    start: int
    end: int
    form: Form


def answer_phrases(passage: str) -> list[Phrase]:
    """Return the phrases that people may ask for; some are inside of others."""
    found = phrases(passage)
    return [
        *(one for one in found if _is_asked_for(passage[one.start : one.end], one.form)),
        *(one for one in _longer_phrases(passage, found) if one.end - one.start <= _LONGEST),
    ]


def phrases(passage: str) -> list[Phrase]:
    """Return the phrases of a passage in their order; none is inside of another."""
    found = [Phrase(*match.span(), "date") for match in _CENTURY.finditer(passage)]
    taken = bytearray(len(passage))  # 1 where a character belongs to a phrase
    _take(taken, found)
    for form in ("date", "number", "name"):
        free = (span for span in candidates(passage, form) if not any(taken[slice(*span)]))
        new = [_corrected(Phrase(*span, form), passage) for span in free]
        _take(taken, new)
        found += new
    found += [Phrase(*span, "words") for span in _other_words(passage, taken)]
    return sorted(
        one for one in found if one.end - one.start <= _LONGEST and _is_whole(one, passage)
    )


def _take(taken: bytearray, found: Sequence[Phrase]) -> None:
    for phrase in found:
        taken[phrase.start : phrase.end] = b"\1" * (phrase.end - phrase.start)


def _corrected(phrase: Phrase, passage: str) -> Phrase:
    """Return an amount of money with its sign, and a year behind a preposition as a date."""
    before = passage[max(0, phrase.start - _NEAR) : phrase.start]
    sign = before.rstrip(" ")[-1:]
    if phrase.form in ("date", "number") and sign and sign in CURRENCIES:
        gap = len(before) - before.rindex(sign)
        return Phrase(phrase.start - gap, phrase.end, "number")
    text = passage[phrase.start : phrase.end]
    last = before.rsplit(maxsplit=1)[-1:] if phrase.form == "number" else []
    is_year = _YEAR.fullmatch(text) and (text.endswith("s") or {*map(str.lower, last)} & OF_TIME)
    return phrase._replace(form="date") if is_year else phrase


def _is_whole(phrase: Phrase, passage: str) -> bool:
    """Return whether no accent is cut off at the end of a phrase."""
    behind = passage[phrase.end : phrase.end + 1]
    first = passage[phrase.start]
    return not any(mark and unicodedata.category(mark)[0] == "M" for mark in (behind, first))


def _is_asked_for(text: str, form: Form) -> bool:
    """Return whether a phrase is no single verb, adverb or function word."""
    if form in ("date", "number"):
        return True
    first, *others = text.split()
    if form == "name":
        is_initial = len(text) == 1 or (not text.isupper() and text.lower() in FUNCTION_WORDS)
        return first not in FUNCTION_WORDS and not is_initial
    is_verb = is_participle(text) or text.endswith("ly")
    return bool(others) or not text[0].islower() or text in _NOUNS or not is_verb


def _longer_phrases(passage: str, found: Sequence[Phrase]) -> Iterator[Phrase]:
    """Yield longer answers: two phrases that belong together, reasons and means."""
    for first, second in pairwise(found):
        between = passage[first.end : second.start]
        if between in _JOINING and {first.form, second.form} <= {"name", "words"}:
            yield Phrase(first.start, second.end, first.form)
        if between == " " and (first.form, second.form) == ("number", "words"):
            unit = passage[second.start : second.end].split()
            if not any(map(is_participle, unit)):
                yield Phrase(first.start, second.end, "number")
    for match in _REASON.finditer(passage):
        yield Phrase(*match.span(1), "words")


def _other_words(passage: str, taken: bytearray) -> Iterator[tuple[int, int]]:
    """Yield the spans of words side by side, few enough for a phrase.

    Between two of them there are function words, punctuation, or phrases that are `taken`.
    """
    run: list[tuple[int, int]] = []
    for match in WORD.finditer(passage):
        if run and passage[run[-1][1] : match.start()] != " ":
            yield from _span(run)
            run = []
        if match[0].lower() in FUNCTION_WORDS or any(taken[match.start() : match.end()]):
            yield from _span(run)
            run = []
        else:
            run.append(match.span())
    yield from _span(run)


def _span(run: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    if 0 < len(run) <= _MOST_WORDS:
        yield run[0][0], run[-1][1]
