"""A power law finds known curves, and its intervals hold what comes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from retune.core.errors import RetuneError
from retune.stats.clusters import Clusters
from retune.stats.paired import Draws
from retune.stats.power_law import Curve, Forecast, Run, fit

QUESTIONS = 400
PASSAGES = Clusters(np.arange(QUESTIONS) // 5)
SIZES = (50, 100, 200, 350)
DRAWS = Draws(300)


def law(size: float, factor: float = 60.0, exponent: float = 0.4, floor: float = 20.0) -> float:
    return factor * (size / 50) ** -exponent + floor


def exact(size: int, error: float) -> Run:
    """A run in which every question has the same score."""
    return Run(size, np.full(QUESTIONS, 100.0 - error))


def noisy(size: int, error: float, seed: int, seed_noise: float = 1.0) -> Run:
    """A run in which questions are right or wrong, with noise of passages, questions and seeds."""
    shared = np.random.default_rng(7).normal(size=QUESTIONS // 5)
    generator = np.random.default_rng(seed)
    hard = np.repeat(shared, 5) + np.random.default_rng(8).normal(size=QUESTIONS)
    ranks = (hard + generator.normal(size=QUESTIONS) / 3).argsort().argsort() / QUESTIONS
    wrong = ranks < (error + seed_noise * generator.normal()) / 100
    return Run(size, 100.0 * ~wrong)


def curve(runs: list[Run], draws: Draws = DRAWS) -> Curve:
    return fit(runs, PASSAGES, draws)


@pytest.mark.parametrize("floor", [0.0, 20.0, 60.0])
@pytest.mark.parametrize("exponent", [0.1, 0.4, 0.9])
def test_the_forecast_of_an_exact_law_is_its_value(exponent: float, floor: float) -> None:
    factor = 95.0 - floor
    runs = [exact(n, law(n, factor, exponent, floor)) for n in SIZES for _ in range(3)]
    found = curve(runs)
    for size in (700, 1400):
        assert found.score(size).value == pytest.approx(
            100 - law(size, factor, exponent, floor), abs=0.3
        )


def test_a_flat_curve_gains_nothing() -> None:
    runs = [exact(size, 30.0) for size in SIZES for _ in range(3)]
    assert curve(runs).gain(350, 700) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_runs_that_fall_gain_nothing_either() -> None:
    runs = [exact(size, 20.0 + size / 100) for size in SIZES for _ in range(3)]
    assert curve(runs).gain(350, 700).value == pytest.approx(0.0, abs=0.05)


def test_intervals_hold_what_comes_about_as_often_as_they_say() -> None:
    held = 0
    trials = 40
    for trial in range(trials):
        runs = [noisy(n, law(n), 100 * trial + 10 * k + n) for n in SIZES for k in range(3)]
        came = np.mean([noisy(1000, law(1000), 9000 + 100 * trial + k).scores for k in range(3)])
        found = curve(runs, Draws(200)).score(1000)
        held += found.low <= came <= found.high
    assert held / trials >= 0.85


def test_noise_widens_the_interval_and_keeps_it_around_the_value() -> None:
    calm, rough = (
        curve([noisy(n, law(n), 10 * k + n, noise) for n in SIZES for k in range(3)]).gain(350, 700)
        for noise in (0.2, 4.0)
    )
    assert rough.high - rough.low > 1.5 * (calm.high - calm.low)
    for gain in (calm, rough):
        assert gain.low < gain.value < gain.high


def test_other_passages_widen_the_score_and_not_the_gain() -> None:
    runs = [noisy(n, law(n), 10 * k + n, 0.0) for n in SIZES for k in range(3)]
    found = curve(runs)
    score, gain = found.score(700), found.gain(350, 700)
    assert score.high - score.low > gain.high - gain.low


def test_the_same_runs_give_the_same_bytes_in_any_order_of_questions() -> None:
    runs = [noisy(n, law(n), 10 * k + n) for n in SIZES for k in range(3)]
    first = curve(runs)
    assert curve(runs).score(700) == first.score(700)
    turned = [Run(run.size, np.ascontiguousarray(run.scores[::-1])) for run in runs]
    assert fit(turned, PASSAGES, DRAWS).score(700).value == first.score(700).value
    assert curve(runs, Draws(300, seed=1)).score(700) != first.score(700)


def test_a_forecast_is_plain_numbers() -> None:
    found = curve([exact(n, law(n)) for n in (*SIZES, 500)]).score(700)
    assert isinstance(found, Forecast)
    assert {type(value) for value in found} == {float}


def test_errors_of_one_draw_follow_its_law() -> None:
    found = curve([noisy(n, law(n), 10 * k + n) for n in SIZES for k in range(3)])
    ratio = 700 / found.smallest
    expected: NDArray[np.float64] = found.factors * ratio**-found.exponents + found.floors
    np.testing.assert_allclose(found.errors(700), expected, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(50, 50, 100, 100), (50, 100, 200)])
def test_too_few_runs_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(RetuneError, match="a curve needs 4 runs and 3 sizes or more"):
        curve([exact(size, 30.0) for size in sizes])
