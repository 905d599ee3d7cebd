"""What a batch is in every task, and how long its rows are."""

from typing import Any

# Each new shape costs the CPU kernels a plan; few lengths keep time and memory down.
LENGTH_STEP = 32

Batch = dict[str, Any]


def padded_length(length: int, most: int | None, step: int = LENGTH_STEP) -> int:
    """The next multiple of `step`, but not more than `most`."""
    size = -(-length // step) * step
    return min(size, most or size)
