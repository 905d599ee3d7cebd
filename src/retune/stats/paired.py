"""Systems compared on the same items: differences, what is noise in them, and what can be shown.

What was drawn is the clusters (passages, articles): another draw would have brought other
questions. Seeds are averaged within an item, so that more runs, or copies of one, narrow no
interval. The figures do not cover what was not drawn: other kinds of text, other seeds.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

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
        differences: of the pairs, the first system less the other.
        ranks: the highest and lowest rank that each system may have.
    """

    means: Mapping[str, Mean]
    differences: Sequence[Difference]
    ranks: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, means: Mapping[str, Mean], differences: Sequence[Difference]) -> "Comparison":
        """Return the comparison with the ranks that these differences leave open."""
        better: dict[str, set[str]] = {name: set() for name in means}
        for each in differences:
            if each.verdict != "not separable":
                one, other = (each.one, each.other)[:: 1 if each.value > 0 else -1]
                better[one].add(other)
        return cls(means, differences, ranks([*means], better))


def mean_scores(
    scores: Mapping[str, Doubles], clusters: Clusters, draws: Draws | None = None
) -> dict[str, Mean]:
    """Return the mean of each system over the same N items, or of several scores of one system.

    It takes the same arguments as `compare`.
    """
    (drawn,) = _drawn([scores], clusters, draws or Draws())
    return {name: _mean(drawn.scores[name], drawn.means[name], clusters) for name in scores}


def compare(
    scores: Mapping[str, Doubles],
    clusters: Clusters,
    draws: Draws | None = None,
    pairs: Iterable[tuple[str, str]] | None = None,
) -> Comparison:
    """Compare systems on the same N items.

    Args:
        scores: of each system, shape (N,), or (R, N) for the runs of R seeds.
        clusters: of the items.
        draws: of the bootstrap and the sign flips.
        pairs: the only ones to compare; without any, all of them, the higher mean first.

    Raises:
        RetuneError: there are no items.
    """
    return compare_each({"": scores}, clusters, draws, pairs)[""]


def compare_each(
    tables: Mapping[str, Mapping[str, Doubles]],
    clusters: Clusters,
    draws: Draws | None = None,
    pairs: Iterable[tuple[str, str]] | None = None,
) -> dict[str, Comparison]:
    """Compare systems by several kinds of scores of the same N items, as `compare` does by one.

    Clusters are drawn once for all kinds, which takes most of the time.

    Args:
        tables: the scores of each system, by kind.
        clusters: of the items.
        draws: as for `compare`.
        pairs: as for `compare`.
    """
    draws = draws or Draws()
    chosen = None if pairs is None else [*pairs]
    drawn = _drawn([*tables.values()], clusters, draws)
    found = (_comparison(each, clusters, draws, chosen) for each in drawn)
    return dict(zip(tables, found, strict=True))


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


class _Drawn(NamedTuple):
    """What is computed from scores by system, the highest mean first.

    Attributes:
        scores: shape (N,).
        sums: of the scores in each cluster, shape (G,), as integers.
        means: over resampled clusters, shape (draws,).
    """

    scores: dict[str, Doubles]
    sums: dict[str, Ints]
    means: dict[str, Doubles]


def _drawn(
    tables: Sequence[Mapping[str, Doubles]], clusters: Clusters, draws: Draws
) -> list[_Drawn]:
    if not len(clusters):
        raise RetuneError("there is no item to compare by")
    counted = [_counted(scores, clusters) for scores in tables]
    columns = [clusters.sizes, *(sums for _, by_name, _ in counted for sums in by_name.values())]
    sizes, *sums = resampled_sums(np.stack(columns, axis=1), draws.count, draws.seed).T
    rest = iter(sums)
    return [
        _Drawn(scores, by_name, {name: next(rest) / sizes * unit for name in by_name})
        for scores, by_name, unit in counted
    ]


def _counted(
    scores: Mapping[str, Doubles], clusters: Clusters
) -> tuple[dict[str, Doubles], dict[str, Ints], float]:
    """Return scores averaged over seeds, their sums in each cluster, and the unit of these."""
    averaged = {name: over_seeds(runs) for name, runs in scores.items()}
    names = sorted(averaged, key=lambda name: -math.fsum(averaged[name]))
    unit = clusters.unit(max(float(np.abs(each).max()) for each in averaged.values()))
    sums = {name: clusters.sums(np.rint(averaged[name] / unit).astype(np.int64)) for name in names}
    return {name: averaged[name] for name in names}, sums, unit


def _comparison(
    drawn: _Drawn,
    clusters: Clusters,
    draws: Draws,
    pairs: Sequence[tuple[str, str]] | None,
) -> Comparison:
    scores, sums, means = drawn
    tested = [*combinations(scores, 2)] if pairs is None else pairs
    raw = _p_values(sums, tested, draws)
    found = [
        _difference(pair, scores, means, clusters, p_value, adjusted, len(tested))
        for pair, p_value, adjusted in zip(tested, raw, holm(raw), strict=True)
    ]
    return Comparison.of(
        {name: _mean(scores[name], means[name], clusters) for name in scores}, found
    )


def _p_values(
    sums: Mapping[str, Ints], pairs: Sequence[tuple[str, str]], draws: Draws
) -> list[float]:
    """Return the p-value of each pair; clusters without any difference are left out."""
    if not pairs:
        return []
    gained = np.stack([sums[one] - sums[other] for one, other in pairs], axis=1)
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
