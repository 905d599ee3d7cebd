import json
import math
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retune.core.numerics import Doubles
from retune.stats.calibration import (
    Bools,
    PlattScaling,
    area_under_risk_coverage,
    brier_score,
    chance_calibration_error,
    expected_calibration_error,
    fit_platt_scaling,
    reliability_curve,
    risk_coverage,
)

GOLDENS = Path(__file__).parent.parent / "reference/confidence_goldens.json"
CASES: list[dict[str, Any]] = json.loads(GOLDENS.read_text(encoding="utf-8"))


def answers(case: dict[str, Any]) -> tuple[Doubles, Bools]:
    return np.array(case["log_odds"]), np.array(case["right"], np.bool_)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["seed"]))
def test_figures_are_those_of_netcal_and_scikit_learn(case: dict[str, Any]) -> None:
    log_odds, right = answers(case)
    stated = PlattScaling(1.0, 0.0)(log_odds)
    error = expected_calibration_error(reliability_curve(right, stated, 10))
    assert error == pytest.approx(case["error"], abs=1e-12)
    assert brier_score(right, stated) == pytest.approx(case["brier"], abs=1e-12)
    fitted = fit_platt_scaling(log_odds, right)
    # scikit-learn stops when its gradient is small.
    assert fitted.slope == pytest.approx(case["slope"], abs=1e-6)
    assert fitted.intercept == pytest.approx(case["intercept"], abs=1e-6)


def test_an_error_is_the_distance_of_probability_and_share() -> None:
    right = np.array([True, True, False, True])
    probability = np.array([0.8, 0.9, 0.9, 1.0])
    (only,) = reliability_curve(right, probability, 2)
    assert (only.low, only.high, only.items, only.share) == (0.5, 1.0, 4, 0.75)
    assert only.probability == pytest.approx(0.9)
    assert expected_calibration_error([only]) == pytest.approx(0.15)
    assert [each.items for each in reliability_curve(right, probability, 10)] == [1, 3]


def test_right_probabilities_have_the_error_that_chance_gives() -> None:
    generator = np.random.default_rng(0)
    probability = generator.random(300)
    found = [
        expected_calibration_error(
            reliability_curve(generator.random(300) < probability, probability, 10)
        )
        for _ in range(300)
    ]
    expected = chance_calibration_error(probability, 10)
    assert float(np.mean(found)) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("right", [[True] * 9, [False] * 9, [True]])
def test_answers_that_are_all_right_or_all_wrong_have_a_finite_fit(right: list[bool]) -> None:
    log_odds = np.linspace(-40, 40, len(right))
    fitted = fit_platt_scaling(log_odds, np.array(right))
    (confidence,) = set(fitted(log_odds).round(6).tolist()) if not fitted.slope else (None,)
    assert confidence is None or 0 < confidence < 1
    assert math.isfinite(fitted.slope)
    assert math.isfinite(fitted.intercept)


def test_answers_that_are_surer_when_wrong_get_one_confidence() -> None:
    log_odds = np.array([3.0, 2.0, -1.0, -2.0])
    fitted = fit_platt_scaling(log_odds, np.array([False, False, True, True]))
    assert fitted.slope == 0
    assert fitted(log_odds).tolist() == pytest.approx([0.5] * 4)


def test_log_odds_that_separate_right_from_wrong_are_fitted() -> None:
    log_odds = np.array([50.0, 20.0, -20.0, -50.0])
    fitted = fit_platt_scaling(log_odds, np.array([True, True, False, False]))
    confidence = fitted(log_odds).tolist()
    assert confidence == sorted(confidence, reverse=True)
    assert 0.5 < confidence[1] < 1


def test_risk_falls_with_coverage_if_the_surest_answers_are_right() -> None:
    right = np.array([True, False, True, False])
    found = risk_coverage(right, np.array([0.9, 0.5, 0.8, 0.5]))
    assert found == [(0.9, 0.25, 0.0), (0.8, 0.5, 0.0), (0.5, 1.0, 0.5)]


def test_the_area_is_the_mean_over_all_orders_of_equal_answers() -> None:
    right = [True, False, True, False, True]
    confidence = [0.9, 0.5, 0.5, 0.5, 0.1]
    areas = []
    for middle in permutations([1, 2, 3]):
        wrong = np.cumsum([not right[place] for place in (0, *middle, 4)])
        areas.append(np.mean(wrong / np.arange(1, 6)))
    found = area_under_risk_coverage(np.array(right), np.array(confidence))
    assert found == pytest.approx(np.mean(areas), abs=1e-12)
