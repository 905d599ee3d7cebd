"""Texts as blocks of equal length."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Blocks(NamedTuple):
    """N blocks of T tokens, and how many tokens were left over, too few for another one."""

    ids: NDArray[np.int64]  # (N, T)
    remainder: int
