"""How likely a span is to a model, by the logits that the stage `predict` stored."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retune.tasks.qa.labels.corruption import Span
from retune.tasks.qa.postprocess.logits import read_parts
from retune.tasks.qa.postprocess.spans import Doubles, Floats, chunks
from retune.tasks.qa.windows.windows import Ints, Windows

#: The lowest log-probability. Below it a difference says no more about a label.
LOWEST = -20.0


class Likelihood(NamedTuple):
    """Natural logarithms of the probabilities that a span starts and ends where it does."""

    start: float
    end: float

    @property
    def total(self) -> float:
        """Of the span."""
        return self.start + self.end


class _Window(NamedTuple):
    """The context tokens of a window."""

    char_start: Ints  # (C,) first character in the context
    char_end: Ints  # (C,) behind the last character
    start: Doubles  # (C,) log-probability of each start among the tokens of all windows
    end: Doubles  # (C,)


class Reading:
    """How likely all spans in the context of one question are to one model."""

    def __init__(self, windows: Windows, logits: Floats) -> None:
        """Take the windows of one question with their logits (tokens, 2)."""
        first = windows.window_tokens()[:-1]
        low, high = first + windows.context_start, first + windows.context_end
        places = [slice(*bounds) for bounds in zip(low.tolist(), high.tolist(), strict=True)]
        values = logits.astype(np.float64)
        start, end = (_log_sum([values[place, column] for place in places]) for column in (0, 1))
        self._windows = [
            _Window(
                windows.char_start[place],
                windows.char_end[place],
                np.maximum(values[place, 0] - start, LOWEST),
                np.maximum(values[place, 1] - end, LOWEST),
            )
            for place in places
        ]

    def holds(self, span: Span) -> bool:
        """Whether any window has all tokens of a span."""
        return any(_tokens(window, span) is not None for window in self._windows)

    def likelihood(self, span: Span) -> Likelihood:
        """Return the likelihood of a span in the window in which it is most likely."""
        found = [_in_window(window, span) for window in self._windows]
        return max(found, key=lambda each: each.total)


class Readings(NamedTuple):
    """How likely spans are to several models, such as runs with several seeds."""

    models: Sequence[Reading]

    def holds(self, span: Span) -> bool:
        """Whether a window of any model has all tokens of a span."""
        return any(model.holds(span) for model in self.models)

    def likelihood(self, span: Span) -> Likelihood:
        """Return the likelihood of a span by the mean of the models' probabilities."""
        if len(self.models) == 1:
            return self.models[0].likelihood(span)
        found = np.array([model.likelihood(span) for model in self.models], np.float64)
        start, end = np.logaddexp.reduce(found, axis=0) - np.log(len(found))
        return Likelihood(float(start), float(end))


def read_readings(features: Path, logits: Path) -> Iterator[Reading]:
    """Yield a reading of each question of a file of features, in its order.

    Raises:
        RetuneError: the logits do not belong to these windows.
    """
    for windows, values in read_parts(features, logits):
        for one, its_values in chunks(windows, values, size=1):
            yield Reading(one, its_values)


def _log_sum(parts: Sequence[Doubles]) -> float:
    """Return the logarithm of the sum of all exponentials."""
    values = np.concatenate(parts)
    return float(np.logaddexp.reduce(values)) if len(values) else 0.0


def _in_window(window: _Window, span: Span) -> Likelihood:
    tokens = _tokens(window, span)
    if tokens is None:
        return Likelihood(LOWEST, LOWEST)
    return Likelihood(float(window.start[tokens[0]]), float(window.end[tokens[1]]))


def _tokens(window: _Window, span: Span) -> tuple[int, int] | None:
    """Return the first and last token that cover a span; None if not all of it is in the window."""
    first = int(np.searchsorted(window.char_end, span[0], side="right"))
    last = int(np.searchsorted(window.char_start, span[1], side="left")) - 1
    if not (first <= last and window.char_start[first] <= span[0]):
        return None
    return (first, last) if span[1] <= window.char_end[last] else None
