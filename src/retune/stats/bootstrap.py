"""The bootstrap (Efron & Tibshirani 1993): how a sum varies with the items it is taken over."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retune.core.numerics import Doubles
from retune.stats.student import normal_cdf, t_quantile

Ints = NDArray[np.int64]

_DRAWN = 2**18  # items drawn at a time: bounds memory and stays in the cache, changes no output
_EXACT = 2**53  # doubles hold every integer up to this one


def resampled_sums(values: Ints, count: int, seed: int) -> Ints:
    """Sum items that are drawn with replacement, as many as there are, `count` times.

    Args:
        values: integers of N items, shape (N,), or (N, K) for K sums over the same draws.
        count: of the sums.
        seed: of the draws.

    Returns:
        The sums, shape (count,) or (count, K).
    """
    generator, size = np.random.default_rng(seed), len(values)
    rows = max(1, _DRAWN // size)
    sums = []
    for done in range(0, count, rows):
        drawn = generator.integers(size, size=(min(rows, count - done), size))
        drawn += np.arange(len(drawn))[:, np.newaxis] * size
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        sums.append(exact_product(times, values))
    return np.concatenate(sums)


def exact_product(weights: NDArray[Any], values: Ints) -> Ints:
    """Return the matrix product of integers, `weights` (R, N) by `values` (N,) or (N, K).

    The weights of a row, without their signs, add up to N at most. Doubles multiply many times
    faster than integers. Their sums are exact in any order, and so equal on every machine, as long
    as none can exceed 2^53.
    """
    if len(values) * int(np.abs(values).max(initial=0)) >= _EXACT:
        return weights.astype(np.int64) @ values
    doubles = weights.astype(np.float64)
    columns = values.astype(np.float64).reshape(len(values), math.prod(values.shape[1:])).T
    # One column at a time: BLAS is slow at products with a few columns.
    sums = np.stack([doubles @ column for column in columns], axis=1).astype(np.int64)
    return sums.reshape(len(weights), *values.shape[1:])


def expanded_interval(others: Doubles, clusters: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of a mean, widened for few clusters.

    A percentile interval is too narrow for small samples: it lacks the factor n / (n - 1) of the
    variance, and Student's t. Hesterberg (What Teachers Should Know About the Bootstrap, The
    American Statistician 2015) takes percentiles further out to make up for both.

    Args:
        others: values of the figure over resampled clusters, shape (C,).
        clusters: how many were drawn each time, at least 2.
    """
    reach = t_quantile(clusters - 1) * math.sqrt(clusters / (clusters - 1))
    tail = 100 * normal_cdf(-reach)
    low, high = np.percentile(others, [tail, 100 - tail], method="inverted_cdf")
    return float(low), float(high)
