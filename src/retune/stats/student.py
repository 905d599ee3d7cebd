"""Quantiles of Student's t, to the last digit on every machine."""

from functools import lru_cache
from typing import Any


@lru_cache
def t_quantile(degrees: int, below: float = 0.975) -> float:
    """Return the t below which a draw of Student's t lies with probability `below`.

    Both tails beyond t together are the regularized incomplete beta function I(x; n/2, 1/2) at
    x = n / (n + t^2), with n degrees of freedom (Abramowitz and Stegun, Handbook of Mathematical
    Functions, 26.7.1).

    Args:
        degrees: of freedom, at least 1.
        below: from 0.5 to 1, both excluded.
    """
    import mpmath

    def excess(t: Any) -> Any:
        x = degrees / (degrees + t * t)
        tails = mpmath.betainc(mpmath.mpf(degrees) / 2, 0.5, 0, x, regularized=True)
        return tails - 2 * (1 - mpmath.mpf(below))

    highest = 2.0
    while excess(highest) > 0:
        highest *= 2
    with mpmath.workdps(30):  # the root is then exact to the last digit of a double
        return float(mpmath.findroot(excess, (0, highest), solver="anderson"))


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal draw is below `z`."""
    import mpmath

    return float(mpmath.ncdf(z))
