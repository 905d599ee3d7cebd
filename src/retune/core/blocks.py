"""Blocks of tokens of equal length."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Blocks(NamedTuple):
    """N blocks of T tokens, and the number of tokens left over."""

    ids: NDArray[np.int64]  # (N, T)
    remainder: int
