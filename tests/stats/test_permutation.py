import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from retune.stats.permutation import mcnemar_p_value, sign_flip_p_values


def test_every_flip_of_few_clusters_is_counted_as_scipy_does() -> None:
    differences = np.random.default_rng(3).integers(-9, 12, size=(10, 4))
    expected = stats.permutation_test(
        (differences,), lambda x, axis: x.sum(axis=axis), permutation_type="samples",
        alternative="two-sided", axis=0, n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    # scipy doubles the smaller tail; flips are symmetric, so that both tails are equal
    assert sign_flip_p_values(differences, 1024, 0) == pytest.approx(expected.pvalue, abs=1e-12)


def test_random_flips_come_close_to_all_flips() -> None:
    differences = np.random.default_rng(4).integers(-9, 13, size=(12, 3))
    exact = sign_flip_p_values(differences, 4096, 0)
    assert sign_flip_p_values(differences, 4095, 0) == pytest.approx(exact, abs=0.03)


def test_flips_do_not_depend_on_how_many_are_drawn_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    differences = np.random.default_rng(5).integers(-9, 13, size=(70, 3))
    at_once = sign_flip_p_values(differences, 500, 1).tolist()
    monkeypatch.setattr("retune.stats.permutation._DRAWN", 150)
    assert sign_flip_p_values(differences, 500, 1).tolist() == at_once


def test_comparisons_without_any_difference_have_p_1() -> None:
    assert sign_flip_p_values(np.zeros((30, 2), np.int64), 99, 0).tolist() == [1.0, 1.0]
    assert sign_flip_p_values(np.zeros((0, 2), np.int64), 99, 0).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (3, 3), (5, 12), (40, 21), (300, 280)])
def test_mcnemar_is_that_of_statsmodels(won: int, lost: int) -> None:
    expected = mcnemar([[7, won], [lost, 9]], exact=True).pvalue if won + lost else 1.0
    assert mcnemar_p_value(won, lost) == pytest.approx(expected, rel=1e-9)
