"""Perturbations of question and passage alike."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from retune.tasks.qa.perturb.letters import lower, mixed, upper
from retune.tasks.qa.questions.examples import UNPLACED, Answer, Example

_MOST_BLANKS = 8


def in_upper_case(example: Example, draw: random.Random) -> Example | None:
    """Return the question, its passage and its answers in capitals."""
    return _in_case(example, upper)


def in_lower_case(example: Example, draw: random.Random) -> Example | None:
    """Return the question, its passage and its answers in small letters."""
    return _in_case(example, lower)


def in_mixed_case(example: Example, draw: random.Random) -> Example | None:
    """Return the question, its passage and its answers with capitals at random places."""
    return _in_case(example, partial(mixed, draw=draw))


def with_blanks(example: Example, draw: random.Random) -> Example:
    """Put blanks before the question and the passage."""
    blanks = " " * (1 + int(draw.random() * _MOST_BLANKS))
    return replace(
        example,
        question=blanks + example.question,
        context=blanks + example.context,
        answers=moved(example, lambda start: start + len(blanks)),
    )


def moved(example: Example, start: Callable[[int], int]) -> tuple[Answer, ...]:
    """Return the answers at other places; `start` maps each start to the new one."""
    return tuple(
        answer if answer.start == UNPLACED else Answer(answer.text, start(answer.start))
        for answer in example.answers
    )


def _in_case(example: Example, change: Callable[[str], str]) -> Example | None:
    """Change the case of all texts. None if that changes nothing.

    `change` keeps the length, so that answers keep their places.
    """
    question, context = change(example.question), change(example.context)
    answers = (
        Answer(change(a.text) if a.start == UNPLACED else context[a.start : a.end], a.start)
        for a in example.answers
    )
    if (question, context) == (example.question, example.context):
        return None
    return replace(example, question=question, context=context, answers=tuple(answers))
