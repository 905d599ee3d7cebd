"""The bootstrap (Efron & Tibshirani 1993): how a sum varies with the items it is taken over."""

from typing import NamedTuple

import numpy as np

_DRAWN = 2**24  # items drawn at a time: bounds memory, changes no output
_TAIL = 2.5  # percent that a 95 % interval leaves out on each side


class Resampled(NamedTuple):
    """The 95 % percentile interval of a figure, and its p-value."""

    low: float
    high: float
    p_value: float


def resampled_sums(values: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sums (count,) of the integers `values` (N,), each time N of them drawn with replacement."""
    generator, rows = np.random.default_rng(seed), max(1, _DRAWN // len(values))
    sums = [
        values[generator.integers(len(values), size=(min(rows, count - done), len(values)))].sum(1)
        for done in range(0, count, rows)
    ]
    return np.concatenate(sums)


def resampled(value: float, others: np.ndarray) -> Resampled:
    """Compare a difference with 0, given its values `others` (C,) over resampled items.

    The p-value is two-sided: twice the share of resamples in which the difference is not on its
    side of 0, the difference itself included (Davison & Hinkley 1997).
    """
    low, high = np.percentile(others, [_TAIL, 100 - _TAIL], method="inverted_cdf")
    beyond = int((others <= 0 if value >= 0 else others >= 0).sum())
    return Resampled(float(low), float(high), min(1.0, 2 * (beyond + 1) / (len(others) + 1)))
