"""The bootstrap (Efron & Tibshirani 1993): what a sum could have been with other items."""

import numpy as np

_DRAWN = 2**24  # items drawn at a time: bounds memory, changes no output


def resampled_sums(values: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sums (count,) of the integers `values` (N,), each time N of them drawn with replacement."""
    generator, rows = np.random.default_rng(seed), max(1, _DRAWN // len(values))
    sums = [
        values[generator.integers(len(values), size=(min(rows, count - done), len(values)))].sum(1)
        for done in range(0, count, rows)
    ]
    return np.concatenate(sums)
