"""Quantiles of Student's t, to the last digit on every machine."""

from functools import lru_cache
from typing import Any


@lru_cache
def t_quantile(degrees: float, below: float = 0.975) -> float:
    """Return the t below which a draw of Student's t lies with probability `below`.

    Args:
        degrees: of freedom, more than 0.
        below: from 0.5 to 1, both excluded.
    """
    import mpmath

    def excess(t: Any) -> Any:
        return _both_tails(t, degrees) - 2 * (1 - mpmath.mpf(below))

    highest = 2.0
    while excess(highest) > 0:
        highest *= 2
    with mpmath.workdps(30):  # the root is then exact to the last digit of a double
        return float(mpmath.findroot(excess, (0, highest), solver="anderson"))


def t_tail(t: float, degrees: float) -> float:
    """Return the probability that a draw of Student's t is above `t`."""
    tail = float(_both_tails(t, degrees)) / 2
    return tail if t >= 0 else 1.0 - tail


def _both_tails(t: Any, degrees: float) -> Any:
    """Return the probability that a draw of Student's t is beyond t on either side, for mpmath.

    It is the regularized incomplete beta function I(x; n/2, 1/2) at x = n / (n + t^2), with n
    degrees of freedom (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1).
    """
    import mpmath

    x = degrees / (degrees + t * t)
    return mpmath.betainc(mpmath.mpf(degrees) / 2, 0.5, 0, x, regularized=True)


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal draw is below `z`."""
    import mpmath

    return float(mpmath.ncdf(z))
