"""The difference of two means over different items, such as validation and test questions."""

import math
from typing import NamedTuple

import numpy as np

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles
from retune.stats.bootstrap import expanded_interval, resampled_sums
from retune.stats.clusters import Clusters
from retune.stats.paired import Draws, Mean


class Sample(NamedTuple):
    """Scores (N,) of N items, and the clusters that they were drawn in."""

    scores: Doubles
    clusters: Clusters


def difference_of_means(one: Sample, other: Sample, draws: Draws | None = None) -> Mean:
    """Return the mean of `one` less the mean of `other`, with its 95 % interval.

    The two share no items, so the clusters of each are drawn by themselves: two independent
    bootstraps. The interval is widened for the sample with fewer clusters; there is none if a
    sample has only one.

    Raises:
        RetuneError: a sample is empty.
    """
    if not (len(one.scores) and len(other.scores)):
        raise RetuneError("there is no item to compare by")
    draws = draws or Draws()
    value = _mean(one) - _mean(other)
    fewest = min(len(one.clusters), len(other.clusters))
    if fewest < 2:
        return Mean(value, None, None)
    # Not by the same seed: samples of equal size would be drawn alike.
    resampled = _resampled(one, draws.count, draws.seed)
    resampled = resampled - _resampled(other, draws.count, draws.seed + 1)
    return Mean(value, *expanded_interval(resampled, fewest))


def _mean(sample: Sample) -> float:
    return math.fsum(sample.scores) / len(sample.scores)


def _resampled(sample: Sample, count: int, seed: int) -> Doubles:
    """Return means over resampled clusters, shape (count,)."""
    scores, clusters = sample
    unit = clusters.unit(float(np.abs(scores).max()))
    sums = clusters.sums(np.rint(scores / unit).astype(np.int64))
    drawn = resampled_sums(np.stack([clusters.sizes, sums], axis=1), count, seed)
    means: Doubles = drawn[:, 1] / drawn[:, 0] * unit
    return means
