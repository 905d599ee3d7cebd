"""Items that belong together, such as the questions about one passage.

Answers to questions about one passage are right or wrong together, so the passage is what was
drawn, not the question. Errors that ignore this are too small (Miller, "Adding Error Bars to
Evals", arXiv 2411.00640).
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retune.core.numerics import Doubles
from retune.stats.bootstrap import Ints

_BITS = 52  # of a double, without the sign


@dataclass(frozen=True)
class Clusters:
    """The cluster of each of N items.

    Attributes:
        numbers: shape (N,), from 0 to the number of clusters less one.
    """

    numbers: Ints

    @classmethod
    def named(cls, names: Sequence[Hashable]) -> "Clusters":
        """Return the clusters of items with these names of clusters, in order of appearance."""
        places: dict[Hashable, int] = {}
        return cls(np.array([places.setdefault(name, len(places)) for name in names], np.int64))

    @cached_property
    def sizes(self) -> Ints:
        """How many items each cluster has, shape (G,)."""
        return np.bincount(self.numbers)

    def __len__(self) -> int:
        """Return the number of clusters."""
        return len(self.sizes)

    def sums(self, values: Ints) -> Ints:
        """Sum the values (N, ...) of each cluster; shape (G, ...)."""
        sums = np.zeros((len(self), *values.shape[1:]), np.int64)
        np.add.at(sums, self.numbers, values)
        return sums

    def unit(self, largest: float) -> float:
        """Return a power of 2 in which values up to `largest` can be counted.

        Sums over any drawn clusters of whole multiples of it are exact in doubles, so no order of
        summation changes them.
        """
        most = max(1, len(self) * int(self.sizes.max())) * max(largest, 1.0)
        return 2.0 ** -(_BITS - math.ceil(math.log2(most)))


def standard_error(differences: NDArray[Any], clusters: Clusters) -> float:
    """Return the cluster-robust standard error of the mean of `differences` (N,).

    It is the error of the constant in a regression on it alone (Liang & Zeger 1986), with the
    factor G / (G - 1) for G clusters.
    """
    count = len(clusters)
    mean = math.fsum(differences) / len(differences)
    sums = np.bincount(clusters.numbers, weights=np.asarray(differences, np.float64) - mean)
    return math.sqrt(math.fsum(sums**2) * count / (count - 1)) / len(differences)


def intraclass_correlation(values: Doubles, clusters: Clusters) -> float:
    """Return how similar values (N,) of one cluster are: 0 as if drawn alone, 1 if all are equal.

    It is the estimator of the analysis of variance for clusters of unequal sizes (Donner 1986).
    Values below 0, which sampling noise gives, are kept. Without variation it is 0.
    """
    sizes, total = clusters.sizes, len(values)
    count = len(clusters)
    if count < 2 or count == total:
        return 0.0
    means = np.bincount(clusters.numbers, weights=values) / sizes
    between = math.fsum(sizes * (means - math.fsum(values) / total) ** 2) / (count - 1)
    within = math.fsum((values - means[clusters.numbers]) ** 2) / (total - count)
    typical = (total - float((sizes**2).sum()) / total) / (count - 1)
    spread = between + (typical - 1) * within
    return (between - within) / spread if spread else 0.0
