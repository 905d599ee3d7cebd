"""Functions with the same result, to the last digit, on every processor."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_LN2 = 0.6931471805599453
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_TERMS = 14  # of the series; the remainder is below half a unit in the last place


def exp(values: Doubles) -> Doubles:
    """Return the exponential of values up to 0, to about 1e-15 if it is above 1e-300.

    The last digit of `numpy.exp` depends on the processor. This function uses only sums, products
    and powers of 2, which IEEE 754 defines to the last digit.
    """
    values = np.maximum(values, -1000.0)  # whose exponential is 0
    powers = np.rint(values / _LN2)
    # Cody & Waite 1980: the high part of ln 2 has few digits, so that its multiples are exact.
    rest = (values - powers * _LN2_HIGH) - powers * _LN2_LOW
    total = np.ones_like(rest)
    for number in range(_TERMS, 0, -1):
        total = 1.0 + total * rest / number
    result: Doubles = np.ldexp(total, powers.astype(np.int64))
    return result
