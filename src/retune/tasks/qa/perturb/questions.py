"""Perturbations of the question; the passage and the answers stay. Most rules are for English."""

import random
import re
from dataclasses import replace

from retune.tasks.qa.analyse.answer_types import QUESTION_WORDS
from retune.tasks.qa.analyse.english import (
    AUXILIARIES,
    HAVE,
    PREPOSITIONS,
    PRONOUNS,
    SUBORDINATORS,
    is_participle,
    is_past,
    words_of,
)
from retune.tasks.qa.perturb.letters import mistyped, typed_words
from retune.tasks.qa.questions.examples import Example

_TYPO_SHARE = 0.2  # of the words
_ENDS = ("", "??", " ?", "?!")
_NEGATED = {"can": "can't", "will": "won't"}
_NEGATIONS = words_of("not never no none nobody nothing without")
#: Phrases with these say when or where all of the question happens; with others they often belong
#: to the word before them.
_OF_ALL = words_of("in at during before after until since")
_TIMES = _OF_ALL - {"in", "at"}
#: These can stand at the end without their noun: "Which city did he live in?"
_STRANDED = words_of("in on at from with of to for by under through")
#: Nouns of time, whose preposition stays: "in which year".
_OF_TIME = words_of("age birthday century date day decade month period season time week year")
#: Behind these a preposition belongs to them: "early in March".
_BOUND = words_of("early late deep far close only interested born situated involved")


def with_other_punctuation(example: Example, draw: random.Random) -> Example | None:
    """Leave out commas; drop, double or set off the mark at the end."""
    question = example.question.rstrip()
    text = re.sub(r"(?<=\w),(?= )", "", question.rstrip("?.!").rstrip())
    ends = [end for end in _ENDS if text + end != question]
    changed = text + ends[int(draw.random() * len(ends))]
    return replace(example, question=changed) if text else None


def with_typos(example: Example, draw: random.Random) -> Example | None:
    """Mistype one of five words of the question, at least one; no question word."""
    text = example.question
    words = [
        (low, high) for low, high in typed_words(text)
        if text[low:high].lower() not in QUESTION_WORDS
    ]  # fmt: skip
    if not words:
        return None
    count = min(len(words), max(1, round(_TYPO_SHARE * len(text.split()))))
    order = sorted((draw.random(), span) for span in words)
    for low, high in sorted((span for _, span in order[:count]), reverse=True):
        text = text[:low] + mistyped(text[low:high], draw) + text[high:]
    return replace(example, question=text)


def negated(example: Example, draw: random.Random) -> Example | None:
    """Negate the verb of the main clause: didn't, isn't, ...; or "Who never ...".

    None where the rules do not find that verb, and for questions that are negated already.
    """
    words = example.question.split()
    bare = [_bare(word) for word in words]
    start = _question_word_at(bare)
    if start is None or not _NEGATIONS.isdisjoint(bare) or "n't" in example.question:
        return None
    if bare[start] == "how" and not _counts(bare[start + 1 :]):
        return None
    verb = _auxiliary(bare, start)
    if verb is not None:
        words[verb] = _NEGATED.get(bare[verb], f"{words[verb]}n't")
    elif bare[start] == "who" and is_past((bare[start + 1 :] or [""])[0]):
        words.insert(start + 1, "never")
    else:
        return None
    return replace(example, question=" ".join(words))


def with_moved_clause(example: Example, draw: random.Random) -> Example | None:
    """Move a clause or a phrase to the front, or behind the question.

    The first of these rules that applies:

    - a phrase before the question, with a comma, comes behind it: Besides air, what ...?
    - a clause with when or while comes to the front
    - a phrase of time or place at the end comes to the front: In 1851, ...?
    - a preposition before the question word comes to the end: Which city did he live in?
    """
    text = example.question.strip()
    words = text.rstrip("? ").split()
    if not words or not text.endswith("?"):
        return None
    for move in (_phrase_behind, _clause_to_front, _phrase_to_front, _preposition_to_end):
        if changed := move(words):
            return replace(example, question=f"{changed[0].upper()}{changed[1:]}?")
    return None


def _phrase_behind(words: list[str]) -> str | None:
    start = _question_word_at([_bare(word) for word in words])
    if not start or not words[start - 1].endswith(",") or any("," in w for w in words[start:]):
        return None
    if _bare(words[0]) not in PREPOSITIONS | {"according"}:
        return None
    return " ".join([*words[start:], _small(words[0]), *words[1:start]]).rstrip(",")


def _clause_to_front(words: list[str]) -> str | None:
    bare = [_bare(word) for word in words]
    start = _question_word_at(bare)
    if start is None or any("," in word for word in words):
        return None
    place = next((i for i in range(start + 1, len(bare)) if bare[i] in SUBORDINATORS), None)
    if place is None or bare[place] not in ("when", "while") or len(words) - place < 3:
        return None
    if place - start < 3:
        return None
    return f"{' '.join(words[place:])}, {' '.join([_small(words[0]), *words[1:place]])}"


def _phrase_to_front(words: list[str]) -> str | None:
    bare = [_bare(word) for word in words]
    start = _question_word_at(bare)
    if start is None or any("," in word for word in words):
        return None
    place = max((i for i in range(start + 2, len(bare)) if bare[i] in _OF_ALL), default=0)
    if not _is_of_all(bare, start, place):
        return None
    return f"{' '.join(words[place:])}, {' '.join([_small(words[0]), *words[1:place]])}"


def _is_of_all(bare: list[str], start: int, place: int) -> bool:
    """Return whether the phrase at `place`, to the end, says when or where all of it happens."""
    middle, phrase = bare[start + 1 : place], bare[place + 1 :]
    if not (place and phrase) or phrase[0] == "first" or not _TIMES.isdisjoint(middle):
        return False
    if not SUBORDINATORS.isdisjoint([*middle, *phrase]):
        return False
    if not PREPOSITIONS.isdisjoint(set(phrase) - {"of"}):
        return False
    if is_participle(phrase[0]) or is_participle(phrase[-1]):
        return False
    # "the area lost in the flood": without an auxiliary, a participle begins a part of a phrase.
    is_reduced = len(middle) > 1 and is_participle(middle[-1]) and _auxiliary(bare, start) is None
    return not is_reduced and middle[-1] not in AUXILIARIES | _BOUND | PREPOSITIONS


def _preposition_to_end(words: list[str]) -> str | None:
    bare = [_bare(word) for word in words]
    if bare[0] not in _STRANDED or _question_word_at(bare) != 1 or any("," in w for w in words):
        return None
    if _auxiliary(bare, 1) is None or not SUBORDINATORS.isdisjoint(bare[2:]):
        return None
    # "Which year did he die in?" is what nobody says.
    is_time = not _OF_TIME.isdisjoint(bare[2:6]) and bare[0] in ("in", "at", "on", "from")
    if is_time or not PREPOSITIONS.isdisjoint(set(bare[-3:]) - {"of"}):
        return None
    return " ".join([*words[1:], _small(words[0])])


def _counts(following: list[str]) -> bool:
    """Return whether these words behind how ask for a number: many, much, not much shorter."""
    return following[:1] in (["many"], ["much"]) and not (following[1:] or [""])[0].endswith("er")


def _question_word_at(bare: list[str]) -> int | None:
    return next((place for place, word in enumerate(bare) if word in QUESTION_WORDS), None)


def _auxiliary(bare: list[str], start: int) -> int | None:
    """Return the place of the main clause's auxiliary; None if another clause begins before it."""
    for place in range(start + 1, len(bare)):
        word = bare[place]
        if word in SUBORDINATORS:
            return None
        if word in AUXILIARIES:
            is_full_verb = word in HAVE and not _has_participle(bare, start, place)
            return None if is_full_verb or place == len(bare) - 1 else place
    return None


def _has_participle(bare: list[str], start: int, have: int) -> bool:
    """Return whether a form of have has its participle, and not only an object."""
    following = bare[have + 1 : have + 6]
    if have == start + 1 and bare[start] == "who":
        following = following[:1]
    return any(is_participle(word) and not word.endswith("ing") for word in following)


def _bare(word: str) -> str:
    return word.lower().strip("\"'\u201c\u201d\u2018\u2019?.,!:;()")


def _small(word: str) -> str:
    """Return the first word of a question as a later one: names keep their capital."""
    known = {*QUESTION_WORDS, *PREPOSITIONS, *AUXILIARIES, *PRONOUNS, "according", "about"}
    return word[0].lower() + word[1:] if _bare(word) in known else word
