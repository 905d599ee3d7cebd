"""Find reference answers that have more tokens than an answer may have."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retune.tasks.qa.questions.examples import AnsweredPassage
from retune.tasks.qa.windows.windows import Longs, Windows, changes, ranges

Part = tuple[Windows, NDArray[np.float32]]


class Answered(Protocol):
    """A question whose reference answers have places."""

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First character of each reference answer, and the one behind its last."""


def note_long_answers(
    examples: Iterable[AnsweredPassage], parts: Iterable[Part], longest: int, lost: list[str]
) -> Iterator[Part]:
    """Yield `parts`, and add to `lost` the questions that no allowed span can answer exactly.

    These are questions whose reference answers all have more than `longest` tokens. `examples` are
    the questions of the parts, in the same order.
    """
    examples = iter(examples)
    for windows, logits in parts:
        bounds = np.flatnonzero(changes(windows.example, end=True))
        questions = list(islice(examples, len(bounds) - 1))
        shortest = shortest_answers(questions, windows, bounds)
        lost += [questions[row].id for row in np.flatnonzero(shortest > longest)]
        yield windows, logits


def shortest_answers(questions: Sequence[Answered], windows: Windows, bounds: Longs) -> Longs:
    """Tokens of the shortest answer of each of N questions, 0 if there is none, shape (N,).

    If no window holds an answer whole, its longest part counts. Question i has the windows
    [bounds[i], bounds[i + 1]).
    """
    rows = [(row, *span) for row, question in enumerate(questions) for span in question.spans]
    found = np.zeros(len(questions), np.int64)
    if not rows:
        return found
    question, start, end = np.array(rows, np.int64).T
    counts = np.diff(bounds)[question]
    window = ranges(bounds[question], counts)
    touched = _touched(windows, window, np.repeat(start, counts), np.repeat(end, counts))
    tokens = np.maximum.reduceat(touched, np.cumsum(counts) - counts)
    first = np.flatnonzero(changes(question))
    found[question[first]] = np.minimum.reduceat(tokens, first)
    return found


def _touched(windows: Windows, window: Longs, start: Longs, end: Longs) -> Longs:
    """How many tokens of a window touch the characters [start, end), shape (A,) each."""
    # All windows at once: each takes a range of 2 ** 32 on a line, its characters in there.
    count = windows.context_end - windows.context_start
    token = ranges(windows.window_tokens()[:-1] + windows.context_start, count)
    line = np.repeat(np.arange(len(windows)) << 32, count)
    first = np.searchsorted(line + windows.char_end[token], (window << 32) + start, side="right")
    behind = np.searchsorted(line + windows.char_start[token], (window << 32) + end)
    return behind - first
