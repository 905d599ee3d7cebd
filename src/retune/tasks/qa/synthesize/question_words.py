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
    DO,
    HAVE,
    MODALS,
    SUBORDINATORS,
    is_participle,
    is_past,
    past_of,
    present_of,
    words_of,
)
from retune.tasks.qa.synthesize.phrases import CURRENCIES, FUNCTION_WORDS, OF_TIME

T = TypeVar("T")

_YEAR = re.compile(r"[12]\d{3}")
_DAY = re.compile(r"\b\d{1,2}\b.*[A-Z][a-z]|[A-Z][a-z].*\b\d{1,2}\b")
_OF_PLACE = words_of("in at near from to across around into through outside inside")
_OF_MEANS = words_of("by via through using with")
_REASONS = (["because"], ["because", "of"], ["due", "to"], ["in", "order", "to"], ["so", "that"])
_UNITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(words_of("years months weeks days hours minutes seconds"), ("how long",)),
    **dict.fromkeys(words_of("miles kilometres kilometers km"), ("how far",)),
    **dict.fromkeys(words_of("feet metres meters"), ("how high", "how far", "how long")),
}
_PEOPLE = re.compile(
    r"king|queen|prince|princess|president|general|actor|actress|author|singer|bishop|captain|"
    r"composer|emperor|engineer|explorer|inventor|leader|painter|philosopher|poet|politician|pope|"
    r"producer|professor|director|ruler|senator|minister|writer|(?!l|m)[a-z]+ist|[a-z]+ian|"
    r"(?!hum)[a-z]+man"
)
#: The base of a verb and its auxiliary in a question, by its past or present.
_BASE_OF = {past_of(base): (base, "did") for base in sorted(BASES)} | {
    present_of(base): (base, "does") for base in sorted(BASES)
}
#: Behind these words the verb of a sentence is no longer looked for.
_NO_VERB_BEHIND = SUBORDINATORS | words_of("to be been being")
#: Chances of question words: with the noun beside a name (`which economist`), with the last word of
#: a phrase (`what kind of trade`), `where` behind a preposition of place, `how` behind `by`.
_WITH_NOUN, _WITH_HEAD, _WHERE, _HOW = 0.6, 0.5, 0.6, 0.5
#: Chances of orders: words behind the answer before those in front of it, and question words in the
#: place of the answer.
_SWAPPED, _IN_PLACE = 0.15, 0.25
#: A function word is left out with a chance, and another word with this part of the chance.
_PART = 0.6


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

    `left_out` is the chance that a function word is left out; for other words it is 0.6 times that.
    """
    asking = _question_words(before, answer, behind, form, draw)
    front, rest = [*before[: len(before) - asking.before]], [*behind[asking.behind :]]
    if front and front[-1].lower() in DETERMINERS:  # the answer's
        front.pop()
    asked = [asking.words]  # never left out
    if draw.random() < _IN_PLACE:
        order = [front, asked, rest]
    elif form == "number" or not front or draw.random() < _SWAPPED:
        order = [asked, rest, front]
    else:
        order = [asked, _inverted(front), rest]
    return [
        word
        for part in order
        for word in part
        if part is asked or draw.random() >= _chance(word, left_out)
    ]


def _chance(word: str, left_out: float) -> float:
    return left_out if word.lower() in FUNCTION_WORDS else _PART * left_out


def _question_words(
    before: Sequence[str], answer: str, behind: Sequence[str], form: Form, draw: random.Random
) -> QuestionWords:
    match form:
        case "date":
            return _for_date(before, answer, draw)
        case "number":
            return _for_number(answer, behind, draw)
        case "name":
            return _for_name(before, answer, behind, draw)
    return _for_words(before, answer, draw)


def _for_words(before: Sequence[str], answer: str, draw: random.Random) -> QuestionWords:
    for reason in _REASONS:
        if [word.lower() for word in before[-len(reason) :]] == reason:
            return QuestionWords("why", len(reason))
    if before and before[-1].lower() in _OF_MEANS and draw.random() < _HOW:
        return QuestionWords("how", 1)
    if answer[0].isupper():  # a name, perhaps: it begins a sentence
        return QuestionWords(one_of(("what", "who"), draw))
    words = answer.split()
    if len(words) > 1 and draw.random() < _WITH_HEAD:
        kind = one_of(("what", "which", "what kind of", "what type of"), draw)
        return QuestionWords(f"{kind} {words[-1]}")
    return QuestionWords("what")


def _for_date(before: Sequence[str], answer: str, draw: random.Random) -> QuestionWords:
    has_article = bool(before) and before[-1].lower() in DETERMINERS
    last = before[-1 - has_article :][:1]
    replaced = 1 + has_article if last and last[0].lower() in OF_TIME else 0
    if _YEAR.fullmatch(answer):
        choices = ["when", "what year", "in what year"]
    elif "centur" in answer:
        choices = ["when", "in what century"]
    else:
        choices = ["when", "when", "on what date"] if _DAY.search(answer) else ["when"]
    return QuestionWords(one_of(choices, draw), replaced)


def _for_number(answer: str, behind: Sequence[str], draw: random.Random) -> QuestionWords:
    next_words = [word.lower() for word in behind[:2]]
    percent = 1 if next_words[:1] == ["percent"] else 2 if next_words == ["per", "cent"] else 0
    if percent or answer.endswith(("%", "percent", "per cent")):
        return QuestionWords(one_of(("what percentage", "how much"), draw), 0, percent)
    if answer[0] in CURRENCIES:
        return QuestionWords(one_of(("how much", "how much", "how much money", "what"), draw))
    words = answer.split()
    if len(words) == 2 and words[1] in _UNITS and next_words[:1] != ["per"]:
        return QuestionWords(one_of((*_UNITS[words[1]], "what"), draw))
    if len(words) > 1 or next_words[:1] == ["per"]:
        return QuestionWords(one_of(("what", "how much", "how many"), draw))
    return QuestionWords(one_of(("how many", "how many", "how many", "how much", "what"), draw))


def _for_name(
    before: Sequence[str], answer: str, behind: Sequence[str], draw: random.Random
) -> QuestionWords:
    nouns, last = _nouns(before), before[-1].lower() if before else ""
    if nouns:
        return _with_nouns(nouns, draw)
    if last in _OF_PLACE and draw.random() < _WHERE:
        return QuestionWords("where", 1)
    if last in DETERMINERS and behind and _is_noun(behind[0]) and draw.random() < _WITH_NOUN:
        return QuestionWords(f"{one_of(('what', 'which'), draw)} {behind[0]}", 0, 1)
    if last in DETERMINERS | _OF_PLACE:
        return QuestionWords(one_of(("what", "what", "which"), draw))
    acts = bool(behind) and (behind[0] in _BASE_OF or is_participle(behind[0]))
    return QuestionWords("who" if acts and " " in answer else one_of(("who", "who", "what"), draw))


def _with_nouns(nouns: Sequence[str], draw: random.Random) -> QuestionWords:
    """Ask for a name by the nouns in front of it, such as `economist`."""
    if _PEOPLE.fullmatch(nouns[-1]) and draw.random() >= _WITH_NOUN:
        return QuestionWords("who", len(nouns))
    if draw.random() < _WITH_NOUN:
        words = one_of(("what", "what", "which", "which", "what is the name of the"), draw)
        return QuestionWords(f"{words} {' '.join(nouns)}", len(nouns))
    return QuestionWords(one_of(("who", "what"), draw))


def _nouns(before: Sequence[str]) -> list[str]:
    """Return the one or two nouns at the end of the words."""
    nouns: list[str] = []
    for word in reversed(before[-3:]):
        if len(nouns) == 2 or not _is_noun(word):
            return [] if word.lower() in {"to"} | MODALS | DO else nouns
        nouns.insert(0, word)
    return nouns[-2:]


def _is_noun(word: str) -> bool:
    """Return whether a word may be a noun or what goes before one."""
    is_word = word.isalpha() and word.islower() and word not in FUNCTION_WORDS
    return is_word and word not in _BASE_OF and not is_participle(word) and not word.endswith("ly")


def _inverted(front: Sequence[str]) -> list[str]:
    """Return the words in front of an object with their verb as in a question.

    An auxiliary goes to the front. Another verb stays as its base, behind `did` or `does`. Where
    the rules do not know the verb, the words stay as they are.
    """
    for place, word in enumerate(front[1:], 1):
        behind = front[place + 1 : place + 2]
        if word in _NO_VERB_BEHIND:
            break
        if word in BE | MODALS or (word in HAVE and any(map(is_participle, behind))):
            return [word, *front[:place], *front[place + 1 :]]
        if word in _BASE_OF and front[place - 1].lower() not in DETERMINERS:
            base, auxiliary = _BASE_OF[word]
            if auxiliary == "did" or not _begins_verb(behind):
                return [auxiliary, *front[:place], base, *front[place + 1 :]]
        elif is_past(word):
            break
    return [*front]


def _begins_verb(words: Sequence[str]) -> bool:
    """Return whether the first word is a verb, so that the one in front of it is a noun."""
    return any(word in BE | HAVE | MODALS or is_past(word) for word in words[:1])


def one_of(choices: Sequence[T], draw: random.Random) -> T:
    """Return one of the choices, each as likely as the others."""
    return choices[int(draw.random() * len(choices))]
