import numpy as np
import pytest

from retune.stats.bootstrap import resampled, resampled_sums


def test_sums_are_those_of_an_unhurried_bootstrap_however_many_are_drawn_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.array([3, -1, 0, 2, -2])
    generator = np.random.default_rng(7)
    slow = [values[generator.integers(5, size=5)].sum() for _ in range(40)]
    assert resampled_sums(values, 40, 7).tolist() == slow
    monkeypatch.setattr("retune.stats.bootstrap._DRAWN", 13)
    assert resampled_sums(values, 40, 7).tolist() == slow


def test_a_difference_is_compared_with_0_on_its_side() -> None:
    others = np.arange(-1, 99)
    above = resampled(49.0, others)
    assert above == (1.0, 96.0, 2 * (2 + 1) / 101)
    assert resampled(-49.0, -others) == (-96.0, -1.0, above.p_value)
    assert resampled(0.0, np.zeros(3, np.int64)).p_value == 1.0
