"""Learning curves: a power law of the training questions, and what more of them would bring.

The error, 100 less the score in percent, falls as a * n^-b + c with the number n of training
questions (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", arXiv 1712.00409).
Few runs do not determine all three: b is drawn towards a typical value and c towards 0, by as
much as the runs are noisy. So noise gives a plain curve, and clear runs decide for themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles, exp
from retune.stats.bootstrap import resampled_sums
from retune.stats.clusters import Clusters
from retune.stats.paired import Draws

LEVEL = 90  # percent of draws in an interval
LEAST_SIZES = 3  # that differ: fewer cannot show whether a curve bends

_EXPONENTS = np.linspace(0.02, 1.2, 60)
_TYPICAL = 0.4  # exponent: a guess that counts as much as one run
_FITTED = 3  # parameters


@dataclass(frozen=True)
class Run:
    """A training on a part of the questions.

    Attributes:
        size: the number of training questions.
        scores: of N validation questions, in percent, shape (N,).
    """

    size: int
    scores: Doubles


class Forecast(NamedTuple):
    """A value of a curve with the ends of its 90 % interval, in points."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Power laws fitted to the runs, and to the runs of each draw.

    Attributes:
        runs: that it was fitted to.
        draws: errors of the runs, shape (runs, D + 1), the ones measured first.
        surprises: how far one more training may be from the curve, shape (D,).
        factors: a, shape (D + 1,), for sizes in units of the smallest.
        exponents: b.
        floors: c.
    """

    runs: Sequence[Run]
    draws: Doubles
    surprises: Doubles
    factors: Doubles
    exponents: Doubles
    floors: Doubles

    @cached_property
    def smallest(self) -> int:
        """The smallest number of questions."""
        return min(run.size for run in self.runs)

    def errors(self, size: float) -> Doubles:
        """Return the error with `size` questions in each draw, the fitted one first."""
        return self.factors * exp(-self.exponents * _log_ratio(size, self.smallest)) + self.floors

    def score(self, size: float) -> Forecast:
        """Return the score of one more training with `size` questions, on other passages."""
        errors = self.errors(size)
        return _forecast(100 - errors[0], 100 - (errors[1:] + self.surprises))

    def gain(self, size: float, other: float) -> Forecast:
        """Return how much better `other` questions are than `size`, on the same passages."""
        gained = self.errors(size) - self.errors(other)
        return _forecast(gained[0], gained[1:] + self.surprises)


def fit(runs: Sequence[Run], clusters: Clusters, draws: Draws | None = None) -> Curve:
    """Fit a power law to runs, and to runs as they could have been.

    Each draw takes other passages (the bootstrap over clusters) and moves each run by the distance
    of some run from the curve, which holds the noise of seeds and subsets and what the law does not
    describe.

    Args:
        runs: at least one more than the law has parameters, on the same questions.
        clusters: of the questions that were scored.
        draws: how often, and by which seed.

    Raises:
        RetuneError: there are too few runs or sizes.
    """
    sizes = sorted({run.size for run in runs})
    if len(sizes) < LEAST_SIZES or len(runs) <= _FITTED:
        raise RetuneError(
            f"{len(runs)} runs with {len(sizes)} sizes of the training data; a curve needs "
            f"{_FITTED + 1} runs and {LEAST_SIZES} sizes or more"
        )
    draws = draws or Draws(2_000)
    logs = np.array([_log_ratio(run.size, sizes[0]) for run in runs])
    weights = np.sqrt([run.size / sizes[-1] for run in runs])
    seen, drawn = _errors(runs, clusters, draws)
    prior = _variance(_fitted(seen, logs, weights, 0.0), seen, logs, weights)
    law = _fitted(seen, logs, weights, prior)
    distances = (seen - _values(law, logs)) * np.sqrt(weights)[:, np.newaxis]
    scale = np.sqrt(len(runs) / (len(runs) - _FITTED))
    generator = np.random.default_rng([draws.seed, 1])
    picked = generator.integers(len(runs), size=(len(runs) + 1, draws.count))
    moved = distances[picked, 0] * scale
    errors = drawn + moved[:-1] / np.sqrt(weights)[:, np.newaxis]
    every = np.concatenate([seen, errors], axis=1)
    return Curve(runs, every, moved[-1], *_fitted(every, logs, weights, prior))


class _Law(NamedTuple):
    """a, b and c of each draw, shape (D,)."""

    factors: Doubles
    exponents: Doubles
    floors: Doubles


def _fitted(errors: Doubles, logs: Doubles, weights: Doubles, prior: float) -> _Law:
    """Return the laws with the least weighted squares, and distances from typical values.

    Args:
        errors: shape (runs, D).
        logs: of sizes, in units of the smallest, shape (runs,).
        weights: of runs, shape (runs,).
        prior: squared points that a typical distance of b or c costs.
    """
    least = np.full(errors.shape[1], np.inf)
    found = _Law(*np.zeros((3, errors.shape[1])))
    lowest = np.maximum(errors.min(axis=0), 1e-9)
    columns = weights[:, np.newaxis]
    for exponent in _EXPONENTS:
        powers = exp(-exponent * logs)[:, np.newaxis]
        factors, floors = _linear(errors, powers, columns, prior / lowest**2)
        squares = _sum((errors - factors * powers - floors) ** 2 * columns)
        distance = (exponent - _TYPICAL) / _TYPICAL
        squares += prior * (distance**2 + (floors / lowest) ** 2)
        better = squares < least
        np.copyto(least, squares, where=better)
        for place, value in zip(found, (factors, exponent, floors), strict=True):
            np.copyto(place, value, where=better)
    return found


def _linear(
    errors: Doubles, powers: Doubles, weights: Doubles, prior: Doubles
) -> tuple[Doubles, Doubles]:
    """Return a and c, both at least 0, with the least squares for one b; `prior` draws c to 0."""
    total, first, second = _sum(weights), _sum(weights * powers), _sum(weights * powers**2)
    ones, products = _sum(weights * errors), _sum(weights * errors * powers)
    floors = (second * ones - first * products) / (second * (total + prior) - first**2)
    floors = np.maximum(floors, 0.0)
    factors = (products - first * floors) / second
    return np.maximum(factors, 0.0), np.where(factors > 0, floors, ones / (total + prior))


def _values(law: _Law, logs: Doubles) -> Doubles:
    """Return the errors of laws, shape (runs, D)."""
    return law.factors * exp(-law.exponents * logs[:, np.newaxis]) + law.floors


def _variance(law: _Law, errors: Doubles, logs: Doubles, weights: Doubles) -> float:
    """Return the mean squared distance of runs from the one law that was fitted to them."""
    squares = _sum((errors - _values(law, logs)) ** 2 * weights[:, np.newaxis])
    return float(squares[0]) / (len(logs) - _FITTED)


def _errors(runs: Sequence[Run], clusters: Clusters, draws: Draws) -> tuple[Doubles, Doubles]:
    """Return the errors of runs on all questions (runs, 1), and on drawn passages (runs, D)."""
    unit = clusters.unit(100.0)
    counts = np.stack([np.rint((100.0 - run.scores) / unit) for run in runs], axis=1)
    sums = clusters.sums(counts.astype(np.int64))
    columns = np.concatenate([clusters.sizes[:, np.newaxis], sums], axis=1)
    resampled = resampled_sums(columns, draws.count, draws.seed)
    seen = columns.sum(axis=0)
    drawn = resampled[:, 1:] / resampled[:, :1] * unit
    return (seen[1:] / seen[0] * unit)[:, np.newaxis], np.ascontiguousarray(drawn.T)


def _forecast(value: float, drawn: Doubles) -> Forecast:
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail], method="inverted_cdf")
    return Forecast(float(value), float(low), float(high))


def _sum(values: NDArray[np.float64]) -> Doubles:
    """Sum over the first axis, in its order on every machine."""
    return np.asarray(np.add.reduce(values, axis=0))


def _log_ratio(size: float, smallest: float) -> float:
    """Return the logarithm of size / smallest, to the last digit on every machine."""
    import mpmath

    return float(mpmath.log(mpmath.mpf(size) / smallest))
