"""Several processes that train one model: what each of them takes of the work.

All walk through the same batches in the same order, and each takes its share of every batch,
so that a run does the same steps however many they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


@dataclass(frozen=True)
class Share:
    """The share of process `index` (from 0) of the `count` that work together."""

    index: int = 0
    count: int = 1

    def run_of(self, items: int) -> range:
        """The run of `items` that is this process's; runs differ in length by one at most."""
        begin, end = (items * place // self.count for place in (self.index, self.index + 1))
        return range(begin, end)

    def gathered(self, value: Any) -> list[Any]:
        """The `value` of every process, in their order, in every process."""
        values: list[Any] = gather_object([value]) if self.count > 1 else [value]
        return values


class JointBatches(Sampler[list[int]]):
    """Of batches that all processes draw alike, the windows of this one.

    The order of an epoch depends on `seed` and the epoch alone: neither on the number of
    processes nor on what else draws random numbers. The last batch is what is left, so that a
    process may get no window of it.

    Args:
        lengths: of all windows, in tokens.
        batch_size: windows of a joint batch.
        seed: of the order.
        share: which of the windows.
        group: how many windows in a row have similar lengths; None: an order at random.

    Attributes:
        epoch: the one that is drawn, from 0.
    """

    def __init__(
        self, lengths: list[int], batch_size: int, seed: int, share: Share, group: int | None
    ) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._share = share
        self._group = group
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order(torch.Generator().manual_seed(self._seed + self.epoch))
        for begin in range(0, len(order), self._batch_size):
            batch = order[begin : begin + self._batch_size]
            yield batch[self._share.index :: self._share.count]

    def _order(self, generator: torch.Generator) -> list[int]:
        if self._group is None:
            order: list[int] = torch.randperm(len(self._lengths), generator=generator).tolist()
            return order
        grouped = get_length_grouped_indices(self._lengths, self._group, generator=generator)
        return [int(index) for index in grouped]
