"""Turn an English question and an answer to it into a statement, by rules.

Questions for who, what, which, where, when and how many have rules. All others have none, and
neither have questions in which the rules do not find subject and verb.
"""

import re
from itertools import pairwise
from typing import NamedTuple

from retune.tasks.qa.analyse.english import (
    AUXILIARIES,
    BASES,
    BE,
    DETERMINERS,
    DO,
    HAVE,
    PREPOSITIONS,
    PRESENT,
    PRONOUNS,
    SUBORDINATORS,
    is_participle,
    is_past,
    past_of,
    present_of,
    words_of,
)

_ASKING = words_of("who whom what which where when how")
_ADVERBIAL = words_of("where when")
_LONGEST_NOUN = 5  # words before a verb that only looks like one
#: Stand before a participle and not in the subject.
_ADVERBS = words_of("first last also finally once ever now still usually often")
#: Begin a clause behind the main clause; other subordinators may begin one in the subject.
_LATER = words_of("when while because if so than although since as where")
_DAY = re.compile(r"\d{1,2} [A-Z][a-z]+|[A-Z][a-z]+ \d{1,2}\b(?!\d)|[A-Z][a-z]+day\b")


class _Asked(NamedTuple):
    """The parts of a question.

    Attributes:
        preposition: before the question word, or "".
        word: the question word.
        noun: words between the question word and the verb: `which river of Asia`.
        verb: the auxiliary, or the verb if the question word is in the subject.
        rest: the words behind it.
    """

    preposition: str
    word: str
    noun: list[str]
    verb: str
    rest: list[str]


def statement(question: str, answer: str) -> str | None:
    """Return a sentence that says that `answer` is the answer; None if no rule applies."""
    asked = _parts(question.strip().rstrip("?. ").split())
    if asked is None:
        return None
    if not asked.preposition and _is_subject(asked):
        words = [_subject(asked, answer), asked.verb, *asked.rest]
    elif asked.word == "who" and asked.verb in HAVE:  # who had it repaired
        return None
    elif clause := _clause(asked.verb, asked.rest):
        is_present = asked.verb in PRESENT
        words = ["It", "is" if is_present else "was", _complement(asked, answer), "that", *clause]
    else:
        return None
    text = " ".join(words)
    return f"{text[0].upper()}{text[1:]}."


def _parts(words: list[str]) -> _Asked | None:
    if any(word.rstrip("\u2019'").endswith((",", ";", ":", '"')) for word in words):
        return None
    preposition = words.pop(0).lower() if words and words[0].lower() in PREPOSITIONS else ""
    if not words or words[0].lower() not in _ASKING:
        return None
    word = words[0].lower()
    if word == "how" and [*words, ""][1].lower() not in ("many", "much"):
        return None
    first = 2 if word == "how" else 1
    for place in range(first, len(words) - 1):
        verb = words[place]
        if verb in SUBORDINATORS:
            return None
        noun = words[first:place]
        if verb in AUXILIARIES or (is_past(verb) and (noun or word in ("who", "what"))):
            is_noun = _is_noun(noun, is_verb_known=verb in AUXILIARIES)
            return _Asked(preposition, word, noun, verb, words[place + 1 :]) if is_noun else None
    return None


def _is_noun(words: list[str], *, is_verb_known: bool) -> bool:
    """Return whether words look like a noun phrase without a verb: river of Asia."""
    if any("'" in word or "\u2019" in word or word in ("may", "might") for word in words):
        return False
    has_other = any(word in PREPOSITIONS and word != "of" for word in words)
    inner = [before for before, word in pairwise(words) if word in DETERMINERS]
    is_short = is_verb_known or len(words) <= _LONGEST_NOUN
    return is_short and not has_other and all(before == "of" for before in inner)


def _is_subject(asked: _Asked) -> bool:
    """Return whether the question word is in the subject: Who built it? Which bird can swim?"""
    if asked.word in _ADVERBIAL or asked.word == "whom":
        return False
    if asked.verb not in AUXILIARIES:
        return True
    first = asked.rest[0]
    begins_subject = first in DETERMINERS | PRONOUNS or first[0].isupper() or "'" in first
    if asked.verb in BE:
        last = _main(asked.rest)[-1].lower()
        is_open = last in PREPOSITIONS or (begins_subject and is_participle(last))
        return not is_open and (not begins_subject or not asked.noun)
    if asked.verb in HAVE:
        return first == "been" or is_participle(first)
    return asked.verb not in DO and first in BASES


def _main(rest: list[str]) -> list[str]:
    """Return the words before a later clause."""
    end = next((place for place, word in enumerate(rest) if place and word in _LATER), len(rest))
    return rest[:end]


def _subject(asked: _Asked, answer: str) -> str:
    noun = asked.noun
    if asked.word == "how":
        return " ".join([answer, *noun])
    # "the river Rhine", but not "the part of the plant a root"
    is_named = noun and answer[0].isupper() and noun[-1].islower() and PREPOSITIONS.isdisjoint(noun)
    return " ".join(["the", *noun, answer]) if is_named else answer


def _complement(asked: _Asked, answer: str) -> str:
    """Return the answer with its preposition: It was in Bergen that ..."""
    preposition = asked.preposition
    has_own = answer.split(maxsplit=1)[0].lower() in PREPOSITIONS
    if asked.word in _ADVERBIAL and not preposition:
        is_day = asked.word == "when" and _DAY.search(answer)
        preposition = "on" if is_day else "in"
    if asked.word == "how":
        answer = " ".join([answer, *asked.noun])
    return answer if has_own or not preposition else f"{preposition} {answer}"


def _clause(verb: str, rest: list[str]) -> list[str] | None:
    """Return subject and verb in the order of a statement: did he write -> he wrote."""
    place = _behind_subject(verb, rest)
    if place is None:
        return None
    if verb not in DO and place > 1 and rest[place - 1] in _ADVERBS:
        place -= 1
    subject, following = rest[:place], rest[place:]
    if verb not in DO:
        return [*subject, verb, *following]
    base, *objects = following
    if verb == "do":
        return [*subject, base, *objects]
    return [*subject, past_of(base) if verb == "did" else present_of(base), *objects]


def _behind_subject(verb: str, rest: list[str]) -> int | None:
    """Return where the subject ends; None if the rules do not find its verb."""
    if rest[0].lower() in PRONOUNS:
        places = [2 if rest[1:2] and rest[1] in _ADVERBS else 1]
        places = [place for place in places if place < len(rest)]
    else:
        places = list(range(1, len(rest)))
    for place in places:
        word, before = rest[place], rest[place - 1].lower()
        if word in _LATER:
            return None
        if before in DETERMINERS or word in SUBORDINATORS:
            continue
        is_verb = is_participle(word) if verb in BE | HAVE else word in BASES or word == "be"
        if is_verb and not (word == "be" and verb in DO):
            return place
    return None
