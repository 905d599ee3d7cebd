"""Batches, which are the same in all tasks."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Rows = TypeVar("Rows", bound=Sequence[Any])

# Each new shape costs the CPU kernels a plan; few lengths keep time and memory down.
LENGTH_STEP = 32

Batch = dict[str, Any]


def padded_length(length: int, most: int | None, step: int = LENGTH_STEP) -> int:
    """`length` rounded up to a multiple of `step`, but at most `most`."""
    size = -(-length // step) * step
    return min(size, most or size)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """`batch` with its tensors on `device`."""
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def batches(
    rows: Rows, size: int, collate: Callable[[Rows], Batch], device: torch.device
) -> Iterator[tuple[Rows, Batch]]:
    """Yield `size` of the `rows` at a time, and their batch on `device`."""
    for begin in range(0, len(rows), size):
        part: Any = rows[begin : begin + size]
        yield part, on_device(collate(part), device)
