"""Questions that one system answers better than another."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from retune.stats.paired import Difference
from retune.tasks.qa.analyse.answer_types import question_word
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.compare.systems import DECISIVE, Result, Run, System

#: Mean scores closer than this differ by rounding alone.
EQUAL = 1e-9


class Flip(NamedTuple):
    """A question on which two systems have different mean F1.

    Attributes:
        won: whether the first system of the pair is better.
        kind: the question word, or `other`.
        id: of the question.
        question: the text.
        references: the reference answers.
        one: the answers of the first system, by seed.
        other: the answers of the second, by seed.
        gained: the difference in F1, in points.
    """

    won: bool
    kind: str
    id: str
    question: str
    references: tuple[str, ...]
    one: tuple[str, ...]
    other: tuple[str, ...]
    gained: float


class Answers(NamedTuple):
    """The answers of a system to a question, each once, and their mean F1, from 0 to 1."""

    answers: tuple[str, ...]
    f1: float


def answers_of(system: System) -> dict[str, Answers]:
    """Return the answers of a system by question id."""
    return {
        id_: Answers(tuple(dict.fromkeys(score.answer for score in run)), _mean(run))
        for id_, run in _by_id(system).items()
    }


def flips(result: Result, difference: Difference) -> list[Flip]:
    """Return the questions that a pair of systems answers differently well, the largest first."""
    one, other = result.systems[difference.one], result.systems[difference.other]
    found = [*_flips(result.questions, one, other)]
    return sorted(found, key=lambda flip: (not flip.won, -abs(flip.gained), flip.id))


def by_kind(found: Sequence[Flip]) -> list[tuple[str, int, int]]:
    """Return kind, questions won and questions lost, the most frequent kind first."""
    won = Counter(flip.kind for flip in found if flip.won)
    lost = Counter(flip.kind for flip in found if not flip.won)
    return [(kind, won[kind], lost[kind]) for kind, _ in (won + lost).most_common()]


def _flips(questions: Run, one: System, other: System) -> Iterator[Flip]:
    mine, theirs = _by_id(one), _by_id(other)
    for question in questions:
        my, their = mine[question.id], theirs[question.id]
        gained = _mean(my) - _mean(their)
        if abs(gained) > EQUAL:
            answers = tuple(q.answer for q in my), tuple(q.answer for q in their)
            place = question_word(question.question), question.id, question.question
            yield Flip(gained > 0, *place, question.references, *answers, 100 * gained)


def _by_id(system: System) -> Mapping[str, Run]:
    found: dict[str, list[QuestionScore]] = {}
    for run in system.runs:
        for question in run:
            found.setdefault(question.id, []).append(question)
    return found


def _mean(run: Run) -> float:
    return math.fsum(float(getattr(question, DECISIVE)) for question in run) / len(run)
