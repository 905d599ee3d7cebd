import numpy as np
import pytest
import statsmodels.api as sm

from retune.stats.clusters import Clusters, intraclass_correlation, standard_error


def test_clusters_are_numbered_as_they_appear_and_summed() -> None:
    clusters = Clusters.named(["b", "a", "b", "c"])
    assert clusters.numbers.tolist() == [0, 1, 0, 2]
    assert clusters.sizes.tolist() == [2, 1, 1]
    assert clusters.sums(np.array([1, 2, 3, 4])).tolist() == [4, 2, 4]
    assert clusters.sums(np.array([[1, 0], [2, 0], [3, 1], [4, 0]])).tolist() == [
        [4, 1], [2, 0], [4, 0],
    ]  # fmt: skip


def test_the_error_of_a_mean_is_that_of_statsmodels() -> None:
    generator = np.random.default_rng(1)
    numbers = generator.integers(9, size=60)
    values = generator.normal(size=60) + generator.normal(size=9)[numbers]
    regression = sm.OLS(values, np.ones(60))
    fitted = regression.fit(cov_type="cluster", cov_kwds={"groups": numbers})
    found = standard_error(values, Clusters.named(numbers.tolist()))
    assert found == pytest.approx(fitted.bse[0], rel=1e-12)


def test_units_are_fine_and_leave_room_for_every_sum() -> None:
    many = Clusters(np.arange(10_000))
    assert many.unit(1.0) == 2.0**-38
    uneven = Clusters.named([0] * 1000 + [*range(1, 20)])
    assert len(uneven) * 1000 * 1.0 / uneven.unit(1.0) <= 2**52
    assert Clusters.named([0]).unit(3.0) == 2.0**-50


def test_the_intraclass_correlation_is_what_was_planted() -> None:
    generator = np.random.default_rng(2)
    numbers = np.repeat(np.arange(4000), generator.integers(1, 9, size=4000))
    passages = generator.normal(size=4000)[numbers] * np.sqrt(0.2)
    values = passages + generator.normal(size=len(numbers)) * np.sqrt(0.8)
    assert intraclass_correlation(values, Clusters(numbers)) == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    ("values", "names", "found"),
    [([1.0, 1.0, 0.0, 0.0], "aabb", 1.0), ([1.0, 1.0], "aa", 0.0), ([1.0, 0.0], "ab", 0.0),
     ([1.0, 1.0, 1.0, 1.0], "aabb", 0.0)],
)  # fmt: skip
def test_the_correlation_of_small_cases(values: list[float], names: str, found: float) -> None:
    assert intraclass_correlation(np.array(values), Clusters.named(names)) == found
