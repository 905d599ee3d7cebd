from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from retune.core.errors import RetuneError
from retune.stats.bootstrap import expanded_interval, resampled_sums
from retune.stats.clusters import Clusters, standard_error
from retune.stats.paired import (
    Comparison,
    Draws,
    compare,
    compare_each,
    over_seeds,
    smallest_detectable,
)
from retune.stats.permutation import sign_flip_p_values

PASSAGES, QUESTIONS, TRIALS = 53, 7, 2000
CORRELATION = 0.2
CLUSTERS = Clusters(np.repeat(np.arange(PASSAGES), QUESTIONS))
NAIVE = Clusters(np.arange(PASSAGES * QUESTIONS))


def simulated(seed: int, trials: int = TRIALS) -> np.ndarray:
    """Differences -1, 0 and 1 of equally good systems, shape (questions, trials)."""
    generator = np.random.default_rng(seed)
    passages = generator.normal(size=(PASSAGES, trials)) * np.sqrt(CORRELATION)
    own = generator.normal(size=(len(NAIVE), trials)) * np.sqrt(1 - CORRELATION)
    latent = passages[CLUSTERS.numbers] + own
    return np.asarray(np.sign(latent) * (np.abs(latent) > 0.8)).astype(np.int64)


def rejected(differences: np.ndarray, clusters: Clusters) -> float:
    return float((sign_flip_p_values(clusters.sums(differences), 1999, 0) < 0.05).mean())


def test_the_test_rejects_as_often_as_it_says_and_the_naive_one_more_than_twice_as_often() -> None:
    differences = simulated(0)
    assert 0.04 <= rejected(differences, CLUSTERS) <= 0.06
    assert rejected(differences, NAIVE) > 0.1


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    differences = simulated(1, 400)
    drawn = resampled_sums(CLUSTERS.sums(differences), 1999, 0) / len(NAIVE)
    ends = [expanded_interval(column, PASSAGES) for column in drawn.T]
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.97


def test_the_smallest_detectable_difference_is_detected_in_four_cases_of_five() -> None:
    differences = simulated(2, 1000)
    errors = [standard_error(column, CLUSTERS) for column in differences.T]
    planted = smallest_detectable(float(np.mean(errors)), PASSAGES)
    moved = np.rint((differences + planted) * 1e6).astype(np.int64)
    assert rejected(moved, CLUSTERS) == pytest.approx(0.8, abs=0.05)


def of(*scores: np.ndarray, clusters: Clusters = CLUSTERS) -> Comparison:
    return compare(dict(zip("abcdef", scores, strict=False)), clusters, Draws(999))


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    generator = np.random.default_rng(8)
    return np.asarray(generator.random((4, len(NAIVE))) * (generator.random((4, len(NAIVE))) < 0.7))


def test_a_small_case_is_that_of_scipy() -> None:
    generator = np.random.default_rng(9)
    one, other = generator.random((2, 24))
    clusters = Clusters.named(np.repeat(np.arange(8), 3).tolist())
    (difference,) = compare({"one": one, "other": other}, clusters).differences
    gained = one - other if difference.one == "one" else other - one
    sums = np.bincount(clusters.numbers, weights=gained)
    expected = stats.permutation_test(
        (sums,), lambda x, axis: x.sum(axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    assert difference.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    assert difference.value == pytest.approx(gained.mean(), abs=1e-9)
    t = stats.t.ppf([0.975, 0.8], 7).sum()
    assert difference.detectable == pytest.approx(t * standard_error(gained, clusters), rel=1e-9)


def test_a_bootstrap_draws_all_of_a_passage(scores: np.ndarray) -> None:
    mean = of(scores[0]).means["a"]
    generator = np.random.default_rng(0)
    by_passage = scores[0].reshape(PASSAGES, QUESTIONS)
    slow = np.array(
        [by_passage[generator.integers(PASSAGES, size=PASSAGES)].mean() for _ in range(999)]
    )
    assert (mean.low, mean.high) == pytest.approx(expanded_interval(slow, PASSAGES), abs=1e-9)


def test_equal_systems_have_p_1_and_share_their_rank(scores: np.ndarray) -> None:
    found = of(scores[0], scores[0])
    (difference,) = found.differences
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    assert (difference.p_value, difference.verdict) == (1.0, "not separable")
    assert (difference.won, difference.lost, difference.clusters_needed) == (0, 0, None)
    assert found.ranks == {"a": (1, 2), "b": (1, 2)}


def test_copies_of_a_seed_narrow_no_interval(scores: np.ndarray) -> None:
    once = of(scores[0], scores[1])
    often = of(np.stack([scores[0]] * 5), np.stack([scores[1]] * 5))
    assert asdict(often) == asdict(once)
    assert over_seeds(scores[:2]) == pytest.approx(scores[:2].mean(axis=0))


def test_pairs_are_adjusted_and_ranked(scores: np.ndarray) -> None:
    found = of(scores[0], scores[1], np.minimum(1, scores[0] + 0.5))
    assert next(iter(found.means)) == "c"
    assert found.ranks["c"] == (1, 1)
    assert found.ranks["a"] == found.ranks["b"] == (2, 3)
    assert [d.verdict for d in found.differences] == ["better", "better", "not separable"]
    for difference in found.differences:
        assert difference.adjusted >= difference.p_value
        assert difference.detectable is not None
        assert difference.clusters_needed is not None
    # what one pair needs is less than what each of three needs
    (alone,) = of(scores[0], scores[1]).differences
    assert (alone.detectable or 0) < (found.differences[2].detectable or 0)


def test_as_many_passages_as_needed_could_show_the_difference(scores: np.ndarray) -> None:
    (difference,) = of(scores[0], scores[1]).differences
    assert difference.clusters_needed
    more = PASSAGES * (difference.detectable / difference.value) ** 2  # type: ignore[operator]
    assert difference.clusters_needed == pytest.approx(more, abs=1)


def test_one_cluster_gives_no_interval(scores: np.ndarray) -> None:
    found = of(scores[0], scores[1], clusters=Clusters(np.zeros(len(NAIVE), np.int64)))
    assert (found.means["a"].low, found.differences[0].detectable) == (None, None)
    assert found.differences[0].p_value == 1.0


def test_no_item_is_an_error() -> None:
    with pytest.raises(RetuneError, match="no item to compare by"):
        compare({"a": np.zeros(0)}, Clusters(np.zeros(0, np.int64)))


def test_figures_are_the_same_on_every_machine(scores: np.ndarray) -> None:
    """They were computed on an AMD EPYC with AVX2 and numpy 2.4."""
    assert asdict(of(*scores).differences[0]) == {
        "value": 0.008088813525891868, "low": -0.04160079773293418, "high": 0.05876586012509527,
        "one": "a", "other": "b", "p_value": 0.772, "adjusted": 1.0, "won": 179, "lost": 157,
        "detectable": 0.09345008019284036, "clusters_needed": 7075,
    }  # fmt: skip


def test_several_kinds_of_scores_are_compared_as_each_alone(scores: np.ndarray) -> None:
    tables = {"large": dict(zip("ab", 100 * scores, strict=False)), "one": {"a": scores[2]}}
    tables["small"] = dict(zip("cab", scores, strict=False))
    found = compare_each(tables, CLUSTERS, Draws(99))
    assert found == {kind: compare(each, CLUSTERS, Draws(99)) for kind, each in tables.items()}


def test_only_the_pairs_that_are_named_are_tested_in_their_order(scores: np.ndarray) -> None:
    better = np.where(scores[0] < 1, scores[0] + 0.5, scores[0])
    table = {"low": scores[0], "high": better, "other": scores[1]}
    pairs = [("low", "high"), ("other", "low")]
    found = compare(table, CLUSTERS, Draws(999), pairs)
    assert [(each.one, each.other) for each in found.differences] == pairs
    worse, _ = found.differences
    assert (worse.verdict, worse.value < 0) == ("worse", True)
    assert worse.adjusted == 2 * worse.p_value  # of two tests
    assert found.ranks["low"] == (2, 3)
    assert found.ranks["high"] == (1, 2)
