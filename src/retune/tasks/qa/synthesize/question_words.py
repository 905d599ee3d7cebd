"""The question words of a made question, and the order of its other words.

Question words depend on the form of the answer and on the words beside it: `the economist Dale
Mortensen` gives `which economist` or `who`, and `in Miletus` gives `where`. `The sailors bought
grain in 575 BC` becomes `what did The sailors buy in 575 BC`. Some questions keep the order of
their sentence.
"""

import random
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from retune.tasks.qa.analyse.answer_types import Form
from retune.tasks.qa.analyse.english import (
    BASES,
    BE,
    DETERMINERS,
    is_participle,
    past_of,
    present_of,
    words_of,
)
from retune.tasks.qa.synthesize.phrases import FUNCTION_WORDS

T = TypeVar("T")

_YEAR = re.compile(r"[12]\d{3}")
_OF_TIME = words_of("in on at since by during from until")
_OF_PLACE = words_of("in at near from to across around into through outside inside")
_CURRENCY = frozenset("$\u00a3\u20ac\u00a5")
_OF_MEANS = words_of("by via through using with")
_REASONS = (["because"], ["because", "of"], ["due", "to"], ["in", "order", "to"], ["so", "that"])
_UNITS = dict.fromkeys(words_of("years months weeks days hours minutes seconds"), "how long")
_UNITS |= dict.fromkeys(words_of("miles kilometres kilometers km"), "how far")
_UNITS |= dict.fromkeys(words_of("feet metres meters"), "how high")
_PEOPLE = re.compile(
    r"mr|mrs|sir|dr|st|saint|king|queen|prince|princess|president|general|actor|actress|author|"
    r"singer|bishop|captain|composer|emperor|engineer|explorer|inventor|leader|painter|philosopher|"
    r"poet|politician|pope|producer|professor|director|ruler|senator|minister|writer|[a-z]+ist|"
    r"[a-z]+ian|[a-z]+man",
    re.IGNORECASE,
)
_BASE_OF = {past_of(base): (base, "did") for base in sorted(BASES)} | {
    present_of(base): (base, "does") for base in sorted(BASES)
}
#: Chances of question words: with the noun beside a name (`which economist`), with the last word of
#: a phrase (`what kind of trade`), `where` behind a preposition of place, `how` behind `by`.
_WITH_NOUN, _WITH_HEAD, _WHERE, _HOW = 0.6, 0.5, 0.6, 0.5
#: Chances of orders: words behind the answer before those in front of it, and question words in the
#: place of the answer.
_SWAPPED, _IN_PLACE = 0.15, 0.25
#: How often a word that is no function word is left out, against a function word.
_MEANING = 0.6


class QuestionWords(NamedTuple):
    """Question words, and how many words before and behind the answer they replace as well."""

    words: str
    before: int = 0
    behind: int = 0


def question_of(
    before: Sequence[str],
    answer: str,
    behind: Sequence[str],
    form: Form,
    left_out: float,
    draw: random.Random,
) -> list[str]:
    """Return the words of a question, made of the words before and behind its answer.

    A function word is left out with the chance `left_out`, another word less often.
    """
    asking = _question_words(before, answer, behind, form, draw)
    front, rest = [*before[: len(before) - asking.before]], [*behind[asking.behind :]]
    if front and front[-1].lower() in DETERMINERS:  # of the answer
        front.pop()
    first, last = (_kept(words, left_out, draw) for words in (_inverted(front), rest))
    if draw.random() < _IN_PLACE:
        return [*_kept(front, left_out, draw), asking.words, *last]
    if form == "number" or not front or draw.random() < _SWAPPED:
        return [asking.words, *last, *_kept(front, left_out, draw)]
    return [asking.words, *first, *last]


def _kept(words: Sequence[str], left_out: float, draw: random.Random) -> list[str]:
    kept = []
    for word in words:
        chance = left_out if word.lower() in FUNCTION_WORDS else _MEANING * left_out
        if draw.random() >= chance:
            kept.append(word)
    return kept


def _question_words(
    before: Sequence[str], answer: str, behind: Sequence[str], form: Form, draw: random.Random
) -> QuestionWords:
    last = before[-1] if before else ""
    match form:
        case "date":
            return _of_date(last, answer, draw)
        case "number":
            return QuestionWords(_of_number(last, answer, behind, draw))
        case "name":
            return _of_name(before, answer, behind, draw)
    return _of_words(before, answer, draw)


def _of_words(before: Sequence[str], answer: str, draw: random.Random) -> QuestionWords:
    for reason in _REASONS:
        if [word.lower() for word in before[-len(reason) :]] == reason:
            return QuestionWords("why", len(reason))
    if before and before[-1].lower() in _OF_MEANS and draw.random() < _HOW:
        return QuestionWords("how", 1)
    if answer[0].isupper():  # a name, perhaps: it begins a sentence
        return QuestionWords(_one_of(("what", "who"), draw))
    words = answer.split()
    if len(words) > 1 and draw.random() < _WITH_HEAD:
        return QuestionWords(
            f"{_one_of(('what', 'which', 'what kind of', 'what type of'), draw)} {words[-1]}"
        )
    return QuestionWords("what")


def _of_date(last: str, answer: str, draw: random.Random) -> QuestionWords:
    stands = int(last.lower() in _OF_TIME)
    if _YEAR.fullmatch(answer):
        return QuestionWords(_one_of(("when", "what year", "in what year"), draw), stands)
    return QuestionWords(_one_of(("when", "when", "on what date"), draw), stands)


def _of_number(last: str, answer: str, behind: Sequence[str], draw: random.Random) -> str:
    if answer.endswith("%") or [*behind[:1]] in (["percent"], ["per"]):
        return _one_of(("what percentage", "how much", "how many"), draw)
    if answer[0] in _CURRENCY:
        return _one_of(("how much", "how much", "how much money", "what"), draw)
    unit = answer.rsplit(maxsplit=1)[-1]
    if unit in _UNITS:
        return _one_of((_UNITS[unit], "what"), draw)
    if " " in answer:
        return _one_of(("what", "how much", "how many"), draw)
    return _one_of(("how many", "how many", "how many", "how much", "what"), draw)


def _of_name(
    before: Sequence[str], answer: str, behind: Sequence[str], draw: random.Random
) -> QuestionWords:
    nouns, last = _nouns(before), before[-1].lower() if before else ""
    if nouns:
        return _of_named(nouns, draw)
    if last in _OF_PLACE and draw.random() < _WHERE:
        return QuestionWords("where", 1)
    if last in DETERMINERS and behind and _is_noun(behind[0]) and draw.random() < _WITH_NOUN:
        return QuestionWords(f"{_one_of(('what', 'which'), draw)} {behind[0]}", 0, 1)
    if last in DETERMINERS | _OF_PLACE:
        return QuestionWords(_one_of(("what", "what", "which"), draw))
    acts = bool(behind) and (behind[0] in _BASE_OF or is_participle(behind[0]))
    return QuestionWords("who" if acts and " " in answer else _one_of(("who", "who", "what"), draw))


def _of_named(nouns: Sequence[str], draw: random.Random) -> QuestionWords:
    """Ask for a name by the nouns in front of it, such as `economist`."""
    if _PEOPLE.fullmatch(nouns[-1]) and draw.random() >= _WITH_NOUN:
        return QuestionWords("who", len(nouns))
    if draw.random() < _WITH_NOUN:
        words = _one_of(("what", "what", "which", "which", "what is the name of the"), draw)
        return QuestionWords(f"{words} {' '.join(nouns)}", len(nouns))
    return QuestionWords(_one_of(("who", "what"), draw))


def _nouns(before: Sequence[str]) -> list[str]:
    """Return the one or two nouns at the end of the words."""
    if not before or not _is_noun(before[-1]):
        return []
    return [*before[-2:]] if len(before) > 1 and _is_noun(before[-2]) else [before[-1]]


def _is_noun(word: str) -> bool:
    """Return whether a word may be a noun or what goes before one."""
    is_word = word.isalpha() and word.islower() and word not in FUNCTION_WORDS
    return is_word and word not in _BASE_OF and not is_participle(word) and not word.endswith("ly")


def _inverted(front: Sequence[str]) -> list[str]:
    """Return the words in front of an object as a question has them: behind `did`, or `was`."""
    for place, word in enumerate(front):
        lower = word.lower()
        if lower in BE and place:
            return [lower, *front[:place], *front[place + 1 :]]
        if lower in _BASE_OF and place and front[place - 1].lower() not in DETERMINERS:
            base, auxiliary = _BASE_OF[lower]
            return [auxiliary, *front[:place], base, *front[place + 1 :]]
    return [*front]


def _one_of(choices: Sequence[T], draw: random.Random) -> T:
    return choices[int(draw.random() * len(choices))]
