"""Confidence: how well it agrees with how often answers are right, and how it is made to agree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retune.core.numerics import Doubles, exp

Bools = NDArray[np.bool_]

_DIGITS = 9  # of fitted values; more would be noise
_STEPS = 100  # of Newton's method, which needs about ten
_SMALLEST_STEP = 1e-12
_HALVINGS = 40
_RIDGE = 1e-9


class Bin(NamedTuple):
    """The items whose probability is from `low` to below `high`; the last bin includes 1."""

    low: float
    high: float
    probability: float  # the mean
    share: float  # of the items for which it came true
    items: int


class Covered(NamedTuple):
    """What happens if only items of at least this confidence are answered; shares from 0 to 1."""

    confidence: float
    coverage: float  # answered items of all
    risk: float  # wrong items of the answered


@dataclass(frozen=True)
class PlattScaling:
    """A logistic function of log-odds (Platt 1999).

    A slope of 1 / T divides the log-odds by the temperature T. The intercept moves all of them; a
    temperature alone cannot bring the confidence of a weak model below one half.

    Attributes:
        slope: at least 0, so that the order of answers stays.
        intercept: the log-odds of the confidence where the model's own are 0.
    """

    slope: float
    intercept: float

    def __call__(self, log_odds: Doubles) -> Doubles:
        """Return the confidence (N,) from 0 to 1."""
        return _logistic(self.slope * log_odds + self.intercept)


def fit_platt_scaling(log_odds: Doubles, right: Bools) -> PlattScaling:
    """Return the scaling under which it is most likely that exactly these items (N,) are right.

    The labels are smoothed as Platt (1999) proposes, so that the fit is finite if all items are
    right, or none. If surer items are more often wrong, the slope is 0: all items get the same
    confidence.
    """
    count, wrong = int(right.sum()), int((~right).sum())
    targets = np.where(right, (count + 1.0) / (count + 2.0), 1.0 / (wrong + 2.0))
    slope, intercept = _newton(log_odds, targets)
    if slope <= 0:
        mean = math.fsum(targets) / len(targets)
        slope, intercept = 0.0, math.log(mean / (1.0 - mean))
    return PlattScaling(round(slope, _DIGITS), round(intercept, _DIGITS))


def _newton(log_odds: Doubles, targets: Doubles) -> tuple[float, float]:
    """Maximise the likelihood by Newton's method; a step that makes it worse is halved.

    Sums are `math.fsum`'s and the exponential is our own. Only the comparison of likelihoods uses a
    logarithm of numpy, so that machines differ by no more than the rounding of the result hides.
    """
    scale = max(1.0, float(np.abs(log_odds).max(initial=0.0)))
    values = log_odds / scale
    slope, intercept = 0.0, 0.0
    for _ in range(_STEPS):
        probability = _logistic(slope * values + intercept)
        rest, spread = targets - probability, probability * (1.0 - probability)
        up, across = _newton_step(
            (math.fsum(rest * values), math.fsum(rest)),
            (math.fsum(spread * values * values), math.fsum(spread * values), math.fsum(spread)),
        )
        before = _log_likelihood(slope * values + intercept, targets)
        for _ in range(_HALVINGS):
            if _log_likelihood((slope + up) * values + intercept + across, targets) >= before:
                break
            up, across = up / 2, across / 2
        slope, intercept = slope + up, intercept + across
        if max(abs(up), abs(across)) < _SMALLEST_STEP:
            break
    return slope / scale, intercept


def _newton_step(
    gradient: tuple[float, float], curvature: tuple[float, float, float]
) -> tuple[float, float]:
    """Solve the two equations of a step; the ridge makes them solvable if all values are equal."""
    (one, two), (high, mixed, low) = gradient, curvature
    high, low = high + _RIDGE, low + _RIDGE
    determinant = high * low - mixed * mixed
    return (low * one - mixed * two) / determinant, (high * two - mixed * one) / determinant


def _logistic(values: Doubles) -> Doubles:
    small = exp(-np.abs(values))
    result: Doubles = np.where(values >= 0, 1.0, small) / (1.0 + small)
    return result


def _log_likelihood(values: Doubles, targets: Doubles) -> float:
    """The sum of t log p + (1 - t) log(1 - p) for p = logistic(value)."""
    softplus = np.maximum(values, 0.0) + np.log1p(exp(-np.abs(values)))
    return math.fsum(targets * values - softplus)


def reliability_curve(right: Bools, probability: Doubles, bins: int) -> list[Bin]:
    """Return the bins of equal width that have any of N items."""
    places = np.minimum((probability * bins).astype(np.int64), bins - 1)
    curve = []
    for place in range(bins):
        inside = places == place
        count = int(inside.sum())
        if count:
            mean = math.fsum(probability[inside]) / count
            share = int(right[inside].sum()) / count
            curve.append(Bin(place / bins, (place + 1) / bins, mean, share, count))
    return curve


def expected_calibration_error(curve: Sequence[Bin]) -> float:
    """Return the mean distance of probability and share, from 0 to 1 (Naeini et al. 2015).

    Each bin counts as often as it has items. It is not 0 for right probabilities either: compare
    it with `chance_calibration_error`.
    """
    items = sum(each.items for each in curve)
    return math.fsum(each.items * abs(each.probability - each.share) for each in curve) / items


def chance_calibration_error(probability: Doubles, bins: int) -> float:
    """Return the expected calibration error that chance gives N right probabilities.

    The share in each bin is taken to be normal; its mean distance is then the square root of 2/pi
    times its standard deviation. Items are taken to be independent, so that the value is too low
    for items that are right or wrong together.
    """
    places = np.minimum((probability * bins).astype(np.int64), bins - 1)
    variances = np.bincount(places, weights=probability * (1.0 - probability))
    return math.sqrt(2.0 / math.pi) * math.fsum(np.sqrt(variances)) / len(probability)


def brier_score(right: Bools, probability: Doubles) -> float:
    """Return the mean squared distance of probability and outcome (Brier 1950)."""
    return math.fsum((probability - right) ** 2) / len(right)


def risk_coverage(right: Bools, confidence: Doubles) -> list[Covered]:
    """Return risk and coverage at each confidence of N items, the highest first."""
    levels, answered, wrong = _by_level(right, confidence)
    total = len(right)
    return [
        Covered(level, count / total, failed / count)
        for level, count, failed in zip(levels, np.cumsum(answered), np.cumsum(wrong), strict=True)
    ]


def area_under_risk_coverage(right: Bools, confidence: Doubles) -> float:
    """Return the mean risk over all coverages 1/N to 1 (AURC; Geifman & El-Yaniv 2017).

    Items of equal confidence have no order; the mean is over all of their orders.
    """
    risks, items, failed = [], 0, 0
    for count, wrong in zip(*_by_level(right, confidence)[1:], strict=True):
        places = np.arange(1, count + 1)
        risks.append((failed + wrong * places / count) / (items + places))
        items, failed = items + count, failed + wrong
    return math.fsum(np.concatenate(risks)) / len(right)


def _by_level(right: Bools, confidence: Doubles) -> tuple[list[float], list[int], list[int]]:
    """Each confidence, the highest first, with the number of its items and of the wrong ones."""
    levels, places = np.unique(-confidence, return_inverse=True)
    answered = np.bincount(places, minlength=len(levels))
    wrong = np.bincount(places, weights=~right, minlength=len(levels)).astype(np.int64)
    return (-levels).tolist(), answered.tolist(), wrong.tolist()
