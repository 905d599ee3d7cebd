import numpy as np
import pytest

from bench.tries import Draw, World, false_keeps, found
from retune.core.numerics import Doubles
from retune.stats.clusters import Clusters, standard_error
from retune.stats.noise_floor import crossed_mean, gain, run_means

GENERATOR = np.random.default_rng(3)
CLUSTERS = Clusters(np.repeat(np.arange(12), 5))


def runs(count: int, shift: float = 1.0, noise: float = 1.0) -> Doubles:
    """Scores of runs with a shift of each run, and noise of each question."""
    shifts = GENERATOR.normal(0, shift, (count, 1))
    return np.asarray(50 + shifts + GENERATOR.normal(0, noise, (count, 60)))


def test_the_value_is_the_difference_of_the_means() -> None:
    base, tried = runs(3), runs(3)
    assert gain(base, tried, CLUSTERS).value == pytest.approx(tried.mean() - base.mean())


def test_without_noise_of_seeds_the_error_is_that_of_the_questions() -> None:
    base, tried = np.tile(runs(1, 0), (3, 1)), np.tile(runs(1, 0), (3, 1))
    base += 50 - base.mean()
    found = gain(base, tried, CLUSTERS)
    assert found.error == pytest.approx(standard_error(tried[0] - base[0], CLUSTERS))
    assert found.degrees == pytest.approx(11)


def test_without_noise_of_questions_it_is_that_of_the_seeds() -> None:
    base, tried = runs(4, 1, 0), runs(4, 1, 0)
    found = gain(base, tried, CLUSTERS)
    own, other = (np.var(run_means(each), ddof=1) for each in (tried, base))
    pooled = (own + other) / 2
    assert found.error**2 == pytest.approx((pooled + max(pooled, own)) / 4)
    assert found.degrees == pytest.approx(6)


def test_other_settings_make_the_noise_of_seeds_better_known() -> None:
    base, tried = runs(3, 1, 0), runs(3, 1, 0)
    more = [run_means(runs(3, 1, 0)) for _ in range(10)]
    assert gain(base, tried, CLUSTERS, more).degrees == pytest.approx(24)


def test_an_unstable_setting_has_its_own_noise() -> None:
    base, more = runs(3, 0.1, 0), [run_means(runs(3, 0.1, 0)) for _ in range(20)]
    calm, wild = runs(3, 0.1, 0), runs(3, 10, 0)
    assert gain(base, wild, CLUSTERS, more).error > 10 * gain(base, calm, CLUSTERS, more).error


def test_equal_scores_are_no_gain_and_certain_ones_are() -> None:
    base = np.full((3, 60), 50.0)
    assert gain(base, base, CLUSTERS).p_value == 1.0
    better = gain(base, base + 1, CLUSTERS)
    assert (better.p_value, better.interval) == (0.0, (1.0, 1.0))


def test_the_interval_and_the_p_value_agree() -> None:
    found = gain(runs(3), runs(3) + 2, CLUSTERS)
    low, high = found.interval
    assert (low + high) / 2 == pytest.approx(found.value)
    assert (found.p_value < 0.025) == (low > 0)


def test_the_two_sided_p_value_counts_both_tails() -> None:
    base, tried = runs(3), runs(3)
    for one in (gain(base, tried - 1, CLUSTERS), gain(base, tried + 1, CLUSTERS)):
        assert one.two_sided == pytest.approx(2 * min(one.p_value, 1 - one.p_value))
    assert gain(base, base, CLUSTERS).two_sided == 1.0


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_simulated_models_vary_over_seeds_as_is_asked_for(deviation: float) -> None:
    world, variances = World(seed_deviation=deviation), []
    for _ in range(20):
        models = Draw(50, world.noise, GENERATOR).setting(10, world.shift(1.0))
        variances.append(np.var(run_means(models), ddof=1))
    assert np.mean(variances) ** 0.5 == pytest.approx(deviation, rel=0.2)


@pytest.mark.parametrize("seeds", [3, 5])
def test_searches_of_seed_only_tries_keep_nothing_in_19_of_20(seeds: int) -> None:
    assert false_keeps(World(seeds=seeds), loops=30) <= 0.05


def test_a_try_that_is_4_points_better_is_found() -> None:
    assert found(World(seeds=5), loops=30) >= 0.8


def test_a_crossed_mean_has_the_error_of_the_factor_that_varies() -> None:
    passages = np.tile(runs(1, 0), (4, 1))
    found = crossed_mean(passages, CLUSTERS)
    assert found.value == pytest.approx(passages.mean())
    assert found.error == pytest.approx(standard_error(passages[0], CLUSTERS))
    assert found.degrees == pytest.approx(11)
    drawn = runs(4, 1, 0)
    found = crossed_mean(drawn, CLUSTERS)
    assert found.error**2 == pytest.approx(np.var(run_means(drawn), ddof=1) / 4)
    assert found.degrees == pytest.approx(3)


def test_the_error_of_a_crossed_mean_is_its_deviation_over_other_runs_and_passages() -> None:
    generator, clusters = np.random.default_rng(7), Clusters(np.repeat(np.arange(20), 4))
    found = []
    for _ in range(600):
        shifts = generator.normal(0, 4, (8, 1))
        passages = generator.normal(0, 10, 20).repeat(4)
        noise = generator.normal(0, 20, (8, 80))
        found.append(crossed_mean(50 + shifts + passages + noise, clusters))
    expected = 4**2 / 8 + 10**2 / 20 + 20**2 / 640
    assert np.var([each.value for each in found]) == pytest.approx(expected, rel=0.15)
    assert np.mean([each.error**2 for each in found]) == pytest.approx(expected, rel=0.1)
