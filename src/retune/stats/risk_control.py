"""Learn then Test: a threshold of confidence with a promise (Angelopoulos et al. 2021).

The promise: with the stated certainty, at least the stated share of the answers at or above the
threshold is right. The certainty is over the draw of passages, given how many questions each has,
and it assumes that no passage has more questions than the largest one drawn. For each threshold of
a fixed list, a p-value bounds the chance of seeing such answers if the promise were false. A
procedure for several tests then finds the lowest threshold that may be used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retune.core.numerics import Doubles
from retune.stats.calibration import Bools
from retune.stats.clusters import Clusters

#: Log-odds that are tried, the strictest first. Fixed beforehand, so that they follow from no data.
THRESHOLDS: tuple[float, ...] = tuple(8.0 - step / 4 for step in range(49))  # 8 to -4
#: Where the sequences of tests begin. Each one costs certainty, and a single one at a strict
#: threshold would end at once, because few answers reach it.
STARTS = (8.0, 6.0, 4.0, 2.0, 0.0)
#: Bets, as fractions of the largest bet that keeps the wealth positive. If nearly all answers are
#: right, the highest bet wins most; if the promise is barely kept, a low one does.
_BETS = np.array([0.99, 0.5, 0.25, 0.125])
_MOST = 100  # how many times more clusters are thought of


@dataclass(frozen=True)
class Promise:
    """What can be promised of the answers at or above a threshold.

    Attributes:
        threshold: the lowest log-odds that keep the promise; None if there are none.
        clusters: how many were seen.
        needed: how many clusters like these would give a threshold; None if a hundred times as
            many would not, or if there is one.
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
    level = (1.0 - certainty) / len(STARTS)
    losses = (_losses(log_odds >= each, right, clusters, precision) for each in THRESHOLDS)
    wealth = np.stack([_log_wealth(each, clusters, precision) for each in losses])
    found = fallback(_p_values(wealth), level)
    count = len(clusters)
    if found is not None:
        return Promise(THRESHOLDS[found], count, None)
    return Promise(None, count, _needed(wealth, level, count))


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


def _losses(answered: Bools, right: Bools, clusters: Clusters, precision: float) -> Doubles:
    """The loss of each cluster (G,): its wrong answers, less the allowed share of its answers.

    The promise holds if the expected loss is below 0.
    """
    each = np.where(answered, np.where(right, precision - 1.0, precision), 0.0)
    sums = np.bincount(clusters.numbers, weights=each, minlength=len(clusters))
    return np.asarray(sums, np.float64)


def _log_wealth(losses: Doubles, clusters: Clusters, precision: float) -> Doubles:
    """Return the logarithm of what each bet against an expected loss of 0 or more has won.

    A bet b multiplies the wealth by 1 - b * loss for each cluster. No bet can lose everything,
    because a loss is at most `precision` times the questions of the largest cluster. If the
    expected loss is 0 or more, no bet wins on average (Waudby-Smith & Ramdas 2024). The wealth does
    not depend on the order of the clusters.
    """
    largest = precision * int(clusters.sizes.max(initial=1))
    logs: Doubles = np.log1p(-np.outer(_BETS / largest, losses)).sum(axis=1)
    return logs


def _p_values(wealth: Doubles) -> list[float]:
    """Return 1 / wealth of money spread over all bets (T, bets), at most 1.

    A mixture of bets does not win on average either, so its wealth exceeds 1 / p with a probability
    of at most p (Markov).
    """
    highest = wealth.max(axis=1)
    spread = np.exp(wealth - highest[:, np.newaxis]).sum(axis=1) / len(_BETS)
    return [math.exp(min(0.0, -log)) for log in (highest + np.log(spread)).tolist()]


def _needed(wealth: Doubles, level: float, count: int) -> int | None:
    """Return how many clusters like the `count` seen would give a threshold."""

    def is_enough(number: int) -> bool:
        return fallback(_p_values(wealth * (number / count)), level) is not None

    low, high = count, _MOST * count
    if not (count and is_enough(high)):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
