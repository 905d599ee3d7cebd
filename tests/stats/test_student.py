import pytest
from scipy import stats

from retune.stats.student import normal_cdf, t_quantile, t_tail


@pytest.mark.parametrize("degrees", [1, 2, 5, 52, 1000, 100_000])
@pytest.mark.parametrize("below", [0.8, 0.975, 1 - 0.025 / 21])
def test_quantiles_are_those_of_scipy(degrees: int, below: float) -> None:
    assert t_quantile(degrees, below) == pytest.approx(stats.t.ppf(below, degrees), rel=1e-14)


@pytest.mark.parametrize("z", [-5.0, -1.96, 0.0, 1.0])
def test_normal_probabilities_are_those_of_scipy(z: float) -> None:
    assert normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-14)


@pytest.mark.parametrize("degrees", [1.5, 4, 52.3])
@pytest.mark.parametrize("t", [-2.0, 0.0, 0.5, 9.0])
def test_tails_are_those_of_scipy(degrees: float, t: float) -> None:
    assert t_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-13)
