import numpy as np
import pytest

from retune.stats.bootstrap import resampled_sums


def test_sums_are_those_of_an_unhurried_bootstrap_however_many_are_drawn_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.array([3, -1, 0, 2, -2])
    generator = np.random.default_rng(7)
    slow = [values[generator.integers(5, size=5)].sum() for _ in range(40)]
    assert resampled_sums(values, 40, 7).tolist() == slow
    monkeypatch.setattr("retune.stats.bootstrap._DRAWN", 13)
    assert resampled_sums(values, 40, 7).tolist() == slow
