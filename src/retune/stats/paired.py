"""Systems compared on the same items: differences, what is noise in them, and what can be shown.

What was drawn is the clusters (passages, articles): another draw would have brought other
questions. Seeds are averaged within an item, so that more runs, or copies of one, narrow no
interval. The figures do not cover what was not drawn: other kinds of text, other seeds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles
from retune.stats.bootstrap import Ints, expanded_interval, resampled_sums
from retune.stats.clusters import Clusters, standard_error
from retune.stats.multiple import holm, ranks
from retune.stats.permutation import sign_flip_p_values
from retune.stats.student import t_quantile

LEVEL = 0.05  # of error for all pairs together
POWER = 0.8

Verdict = Literal["better", "worse", "not separable"]


@dataclass(frozen=True)
class Draws:
    """How often clusters are drawn and flipped, and by which seed."""

    count: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Mean:
    """The mean score of a system, from 0 to 1 if the scores are.

    Attributes:
        value: the mean over the items.
        low: lower end of the 95 % interval by the bootstrap over clusters; None for one cluster.
        high: upper end.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference(Mean):
    """The mean difference of two systems, the score of `one` less that of `other`.

    Attributes:
        one: name of the first system.
        other: name of the second.
        p_value: two-sided, by sign flips of clusters.
        adjusted: the p-value adjusted for all pairs (Holm).
        won: items on which `one` has the higher score.
        lost: items on which `other` has it.
        detectable: the smallest difference that a test of all pairs on these clusters would show
            in 80 % of cases; None for one cluster.
        clusters_needed: how many clusters like these would show the difference seen as often; None
            if it is 0.
    """

    one: str
    other: str
    p_value: float
    adjusted: float
    won: int
    lost: int
    detectable: float | None
    clusters_needed: int | None

    @property
    def verdict(self) -> Verdict:
        """Whether `one` is shown to be better or worse than `other`."""
        if self.adjusted >= LEVEL:
            return "not separable"
        return "better" if self.value > 0 else "worse"


@dataclass(frozen=True)
class Comparison:
    """Systems compared by one score, the best first.

    Attributes:
        means: by system.
        differences: of all pairs, the one that comes first in `means` less the other.
        ranks: the highest and lowest rank that each system may have.
    """

    means: Mapping[str, Mean]
    differences: Sequence[Difference]
    ranks: Mapping[str, tuple[int, int]]


def mean_scores(
    scores: Mapping[str, Doubles], clusters: Clusters, draws: Draws | None = None
) -> dict[str, Mean]:
    """Return the mean of each system over the same N items, or of several scores of one system.

    It takes the same arguments as `compare`.
    """
    means, _, columns = _drawn(scores, clusters, draws or Draws())
    return {name: _mean(means[name], columns[name], clusters) for name in scores}


def compare(
    scores: Mapping[str, Doubles], clusters: Clusters, draws: Draws | None = None
) -> Comparison:
    """Compare systems on the same N items.

    Args:
        scores: of each system, shape (N,), or (R, N) for the runs of R seeds.
        clusters: of the items.
        draws: of the bootstrap and the sign flips.

    Raises:
        RetuneError: there are no items.
    """
    draws = draws or Draws()
    means, sums, columns = _drawn(scores, clusters, draws)
    pairs = [*combinations(means, 2)]
    raw = _p_values(sums, draws)
    found = [
        _difference(pair, means, columns, clusters, p_value, adjusted, len(pairs))
        for pair, p_value, adjusted in zip(pairs, raw, holm(raw), strict=True)
    ]
    shown = [(d.one, d.other) for d in found if d.verdict == "better"]
    better = {name: {other for one, other in shown if one == name} for name in means}
    return Comparison(
        {name: _mean(means[name], columns[name], clusters) for name in means},
        found,
        ranks([*means], better),
    )


def over_seeds(runs: Doubles) -> Doubles:
    """Average scores (R, N) over runs; scores (N,) stay as they are."""
    scores = np.asarray(runs, np.float64)
    return scores if scores.ndim == 1 else np.add.reduce(scores, axis=0) / len(scores)


def smallest_detectable(error: float, clusters: int, tests: int = 1) -> float:
    """Return the smallest difference that a test shows with a power of 80 %.

    It is (t[1 - a/2] + t[0.8]) standard errors, with G - 1 degrees of freedom for G clusters and
    a = 5 % shared by all tests (Bloom, "Minimum Detectable Effects", Evaluation Review 1995).

    Args:
        error: the standard error of the difference.
        clusters: G, at least 2.
        tests: how many pairs are tested.
    """
    degrees = clusters - 1
    return (t_quantile(degrees, 1 - LEVEL / tests / 2) + t_quantile(degrees, POWER)) * error


def _drawn(
    scores: Mapping[str, Doubles], clusters: Clusters, draws: Draws
) -> tuple[dict[str, Doubles], Ints, dict[str, Doubles]]:
    """Return what is computed from scores, the highest mean first.

    Returns:
        The scores of each system, shape (N,); their sums in each cluster, shape (G, systems), as
        integers; and the means of each system over resampled clusters, shape (draws,).
    """
    if not len(clusters):
        raise RetuneError("there is no item to compare by")
    averaged = {name: over_seeds(runs) for name, runs in scores.items()}
    names = sorted(averaged, key=lambda name: -math.fsum(averaged[name]))
    means = {name: averaged[name] for name in names}
    unit = clusters.unit(max(float(np.abs(each).max()) for each in means.values()))
    counts = [np.rint(each / unit).astype(np.int64) for each in means.values()]
    sums = clusters.sums(np.stack(counts, axis=1))
    columns = np.concatenate([clusters.sizes[:, np.newaxis], sums], axis=1)
    resampled = resampled_sums(columns, draws.count, draws.seed)
    drawn = (resampled[:, 1:] / resampled[:, :1]) * unit
    return means, sums, dict(zip(names, drawn.T, strict=True))


def _p_values(sums: Ints, draws: Draws) -> list[float]:
    """Return the p-value of each pair of columns; clusters without any difference are left out."""
    pairs = [*combinations(range(sums.shape[1]), 2)]
    if not pairs:
        return []
    gained = np.stack([sums[:, one] - sums[:, other] for one, other in pairs], axis=1)
    gained = gained[gained.any(axis=1)]
    return [float(p) for p in sign_flip_p_values(gained, draws.count, draws.seed)]


def _difference(
    pair: tuple[str, str],
    means: Mapping[str, Doubles],
    resampled: Mapping[str, Doubles],
    clusters: Clusters,
    p_value: float,
    adjusted: float,
    tests: int,
) -> Difference:
    one, other = pair
    gained = means[one] - means[other]
    mean = _mean(gained, resampled[one] - resampled[other], clusters)
    won, lost = int((gained > 0).sum()), int((gained < 0).sum())
    detectable = needed = None
    if len(clusters) > 1:
        error = standard_error(gained, clusters)
        detectable = smallest_detectable(error, len(clusters), tests)
    if detectable is not None and mean.value:
        needed = max(2, math.ceil(len(clusters) * (detectable / mean.value) ** 2))
    tested = (p_value, adjusted, won, lost, detectable, needed)
    return Difference(mean.value, mean.low, mean.high, one, other, *tested)


def _mean(scores: Doubles, resampled: Doubles, clusters: Clusters) -> Mean:
    value = math.fsum(scores) / len(scores)
    if len(clusters) < 2:
        return Mean(value, None, None)
    return Mean(value, *expanded_interval(resampled, len(clusters)))
