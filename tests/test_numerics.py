import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retune.core.numerics import exp


@given(st.lists(st.floats(-690, 0), min_size=1, max_size=50))
def test_the_exponential_is_right_to_the_last_digits(values: list[float]) -> None:
    found = exp(np.array(values))
    for value, result in zip(values, found.tolist(), strict=True):
        expected = math.exp(value)
        assert abs(result - expected) <= 4 * math.ulp(expected)


def test_the_ends_are_exact() -> None:
    assert exp(np.array([0.0, -800.0, -1e308, -np.inf])).tolist() == [1.0, 0.0, 0.0, 0.0]
