"""Paired bootstrap of figures over pairs of sentences.

A figure is the sum of the parts of all pairs over the sum of their wholes. For a mean each whole is
1; for a perplexity it is a number of tokens. The paired bootstrap (Efron & Tibshirani 1993; Koehn
2004) draws the same pairs for all compared figures.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from retune.core.numerics import Doubles, exp
from retune.stats.bootstrap import resampled, resampled_sums
from retune.tasks.language_model.score.score import Share

#: Parts and wholes are summed as whole multiples of this, so that no order of a sum matters.
_UNIT = 2.0**-30


class Drawn(NamedTuple):
    """A figure, and its values over resampled pairs (C,)."""

    value: float
    others: Doubles

    def as_perplexity(self) -> "Drawn":
        """Turn a mean log-probability into a perplexity."""
        return Drawn(float(_perplexity(np.array([self.value]))[0]), _perplexity(self.others))


class Difference(NamedTuple):
    """The difference of two figures over the same pairs."""

    difference: float
    low: float  # of the 95 % interval
    high: float
    p_value: float


def drawn(rows: Sequence[Share], count: int, seed: int) -> Drawn:
    """The figure of N pairs, and of `count` resamples of N pairs, drawn with replacement."""
    table = np.rint(np.array(rows, np.float64) / _UNIT).astype(np.int64)  # (N, 2)
    parts, wholes = table.T
    sums = [resampled_sums(values, count, seed) for values in (parts, wholes)]
    return Drawn(float(_ratio(parts.sum(), wholes.sum())), _ratio(*sums))


def difference(one: Drawn, other: Drawn) -> Difference:
    """`one` minus `other`, with its percentile interval."""
    value = one.value - other.value
    return Difference(value, *resampled(value, one.others - other.others))


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Divide; 0 if the whole is 0."""
    return np.where(wholes == 0, 0.0, parts / np.where(wholes == 0, 1, wholes))


def _perplexity(means: Doubles) -> Doubles:
    inverse: Doubles = 1.0 / exp(means)
    return inverse
