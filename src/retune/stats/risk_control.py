"""Learn then Test: a threshold of confidence with a promise (Angelopoulos et al. 2021).

The promise: with the stated certainty, at least the stated share of the answers at or above the
threshold is right. The certainty is over the passages that were drawn to choose the threshold. For
each threshold of a fixed list, a p-value bounds the chance of seeing such passages if the promise
were false. A procedure for several tests then finds the lowest threshold that may be used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retune.core.numerics import Doubles
from retune.stats.calibration import Bools
from retune.stats.clusters import Clusters

#: Log-odds that are tried, the strictest first. Fixed beforehand, so that they follow from no data.
THRESHOLDS: tuple[float, ...] = tuple(10.0 - step / 4 for step in range(57))  # 10 to -4
#: Where the sequences of tests begin. Each one costs certainty, and a single one at a strict
#: threshold would end at once, because few answers reach it.
STARTS = (8.0, 6.0, 4.0, 2.0, 0.0)
#: What is bet, as shares of the most that cannot lose everything. If nearly all answers are right,
#: the highest bet wins most; if the promise is barely kept, a low one does.
_BETS = np.array([0.99, 0.5, 0.25, 0.125])


@dataclass(frozen=True)
class Promise:
    """What can be promised of the answers at or above a threshold.

    Attributes:
        threshold: the lowest log-odds that keep the promise; None if there are none.
        clusters: how many were seen.
        needed: how many clusters like these would give a threshold; None if no number would,
            because too few of the answers at any threshold are right.
    """

    threshold: float | None
    clusters: int
    needed: int | None


def promised_threshold(
    log_odds: Doubles, right: Bools, clusters: Clusters, *, precision: float, certainty: float
) -> Promise:
    """Find the lowest threshold above which answers are right often enough.

    Args:
        log_odds: of N answers.
        right: whether each is right.
        clusters: the passage of each.
        precision: the share of the answers above the threshold that shall be right.
        certainty: how probable it shall be that this share is reached.

    Returns:
        The threshold, or how many clusters it would take.
    """
    allowed, level = 1.0 - precision, (1.0 - certainty) / len(STARTS)
    growths = [
        _log_wealth(_losses(log_odds >= threshold, right, clusters, allowed), clusters, precision)
        for threshold in THRESHOLDS
    ]
    found = fallback([math.exp(-growth.mixture) for growth in growths], level)
    if found is not None:
        return Promise(THRESHOLDS[found], len(clusters), len(clusters))
    best = max(growth.best for growth in growths) / max(1, len(clusters))
    needed = max(math.ceil(-math.log(level) / best), len(clusters) + 1) if best > 0 else None
    return Promise(None, len(clusters), needed)


def fallback(p_values: Sequence[float], level: float) -> int | None:
    """Return the last of ordered hypotheses that is rejected; None if none is.

    Each start has its own level. A rejected hypothesis passes its level on to the next one (the
    fallback procedure, Wiens & Dmitrienko 2005), so that the chance of any false rejection stays
    below the sum of the levels.
    """
    carried, last = 0.0, None
    for place, (threshold, p_value) in enumerate(zip(THRESHOLDS, p_values, strict=True)):
        carried += level if threshold in STARTS else 0.0
        if carried and p_value <= carried:
            last = place
        else:
            carried = 0.0
    return last


def _losses(answered: Bools, right: Bools, clusters: Clusters, allowed: float) -> Doubles:
    """The loss of each cluster (G,): its wrong answers, less the allowed share of its answers.

    The promise holds if the expected loss is below 0.
    """
    each = np.where(answered, np.where(right, -allowed, 1.0 - allowed), 0.0)
    sums = np.bincount(clusters.numbers, weights=each, minlength=len(clusters))
    return np.asarray(sums, np.float64)


@dataclass(frozen=True)
class _Growth:
    """The logarithm of what bets on the promise have won."""

    mixture: float  # one unit of money spread over all bets
    best: float  # all of it on the best bet, which only hindsight knows


def _log_wealth(losses: Doubles, clusters: Clusters, precision: float) -> _Growth:
    """Return the wealth of bets against the hypothesis that the expected loss is 0 or more.

    A bet b multiplies the wealth by 1 - b * loss for each cluster. No bet can lose everything,
    because a loss is at most `precision` times the questions of the largest cluster. Under the
    hypothesis no bet wins on average, nor does a mixture of bets, so the wealth exceeds 1 / p with
    a probability of at most p (Markov; Waudby-Smith & Ramdas 2024). It does not depend on the
    order of the clusters.
    """
    largest = precision * int(clusters.sizes.max(initial=1))
    logs = np.log1p(-np.outer(_BETS / largest, losses)).sum(axis=1)
    highest = float(logs.max())
    mixture = highest + math.log(math.fsum(np.exp(logs - highest)) / len(_BETS))
    return _Growth(mixture, highest)
