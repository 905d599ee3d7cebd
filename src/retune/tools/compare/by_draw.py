"""Systems that were trained on the same draws of training questions, compared draw by draw.

`retune few-shot` trains each system on several draws and scores all on the same test questions.
Draws (with their seeds) and passages are two crossed factors, and intervals count both.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from retune.core.errors import RetuneError, listed
from retune.core.numerics import Doubles
from retune.stats.clusters import Clusters
from retune.stats.multiple import holm
from retune.stats.noise_floor import Gain, crossed_mean
from retune.stats.paired import (
    Comparison,
    Difference,
    Mean,
    over_seeds,
    smallest_detectable,
)


def common_draws(draws: Mapping[str, Sequence[int | None]]) -> int:
    """Return how many draws all systems have; 0 for one alone, and if a system's runs are no draws.

    Args:
        draws: the numbers of each system's draws.

    Raises:
        RetuneError: the systems have different draws, or a system has one twice.
    """
    if any(None in numbers for numbers in draws.values()):
        return 0
    first, *others = draws
    for name, numbers in draws.items():
        if twice := sorted({str(n) for n in numbers if numbers.count(n) > 1}):
            raise RetuneError(
                f"{name}: draw {listed(twice)} is there twice; name the draws of one protocol: "
                "few-shot-KEY"
            )
    for name in others:
        if {*draws[name]} != {*draws[first]}:
            raise RetuneError(
                f"{first} has {len(draws[first])} draws and {name} has {len(draws[name])}; run "
                "`retune few-shot` with the same --draws for both, because draws are compared in "
                "pairs"
            )
    return len(draws[first]) if len(draws[first]) > 1 else 0


def crossed_interval(runs: Doubles, clusters: Clusters) -> Mean:
    """Return the mean of scores (R, N) of R draws in percent, with its 95 % interval."""
    if len(clusters) < 2:
        return Mean(math.fsum(runs.ravel()) / runs.size, None, None)
    found = crossed_mean(runs, clusters)
    low, high = found.interval
    return Mean(found.value, max(0.0, low), min(100.0, high))


def compare_by_draw(scores: Mapping[str, Doubles], clusters: Clusters) -> Comparison:
    """Compare systems on the same draws and items.

    Args:
        scores: of each system in percent, shape (R, N), the draws in the same order.
        clusters: of the items, at least 2.
    """
    means = {name: crossed_interval(runs, clusters) for name, runs in scores.items()}
    names = sorted(means, key=lambda name: -means[name].value)
    pairs = [*combinations(names, 2)]
    gains = [crossed_mean(scores[one] - scores[other], clusters) for one, other in pairs]
    adjusted = holm([found.two_sided for found in gains])
    differences = [
        _difference(pair, scores, found, p_value, len(pairs))
        for pair, found, p_value in zip(pairs, gains, adjusted, strict=True)
    ]
    return Comparison.of({name: means[name] for name in names}, differences)


def _difference(
    pair: tuple[str, str], scores: Mapping[str, Doubles], found: Gain, adjusted: float, tests: int
) -> Difference:
    one, other = pair
    gained = over_seeds(scores[one]) - over_seeds(scores[other])
    won, lost = int((gained > 0).sum()), int((gained < 0).sum())
    detectable = smallest_detectable(found.error, max(1, int(found.degrees)) + 1, tests)
    ends = (found.value, *found.interval)
    # How many passages or draws would be needed depends on both.
    return Difference(*ends, one, other, found.two_sided, adjusted, won, lost, detectable, None)
