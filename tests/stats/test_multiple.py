import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from retune.stats.multiple import holm, ranks


@pytest.mark.parametrize("count", [1, 3, 21])
def test_holm_is_that_of_statsmodels(count: int) -> None:
    p_values = np.round(np.random.default_rng(count).random(count) ** 4, 3)
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values.tolist()) == pytest.approx(expected, abs=1e-12)


def test_without_tests_nothing_is_adjusted() -> None:
    assert holm([]) == []


def test_ranks_have_ties_where_nothing_is_shown() -> None:
    better = {"a": {"b", "c"}, "b": set[str](), "c": {"d"}, "d": set[str]()}
    assert ranks([*"abcd"], better) == {"a": (1, 2), "b": (2, 4), "c": (2, 3), "d": (2, 4)}
