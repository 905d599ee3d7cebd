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
        grouped: whether the windows of a batch are alike in length.

    Attributes:
        epoch: the one that is drawn, from 0.
    """

    def __init__(
        self, lengths: list[int], batch_size: int, seed: int, share: Share, *, grouped: bool
    ) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._share = share
        self._grouped = grouped
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that is drawn next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed + self.epoch)
        batches = self._of_like_length(generator) if self._grouped else self._random(generator)
        for batch in batches:
            yield batch[self._share.index :: self._share.count]

    def _random(self, generator: torch.Generator) -> list[list[int]]:
        return self._cut(torch.randperm(len(self._lengths), generator=generator).tolist())

    def _of_like_length(self, generator: torch.Generator) -> list[list[int]]:
        grouped = get_length_grouped_indices(self._lengths, self._batch_size, generator=generator)
        batches = self._cut([int(index) for index in grouped])
        # They come from long to short, time and again, which a model would follow. The longest
        # window stays in the first, so that memory that does not suffice is known at once.
        first, middle, last = batches[:1], batches[1:-1], batches[1:][-1:]
        drawn = torch.randperm(len(middle), generator=generator).tolist()
        return [*first, *(middle[number] for number in drawn), *last]

    def _cut(self, order: list[int]) -> list[list[int]]:
        size = self._batch_size
        return [order[begin : begin + size] for begin in range(0, len(order), size)]
