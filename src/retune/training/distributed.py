"""The share of several processes in the training of one model.

All processes go through the same batches in the same order and take their share of each, so that
the steps do not depend on the number of processes.
"""

import math
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from retune.processes.share import Share


class JointBatches(Sampler[list[int]]):
    """Draws joint batches, the same in all processes, and yields a process's share of each.

    The order of an epoch depends on `seed` and the epoch alone, not on the number of processes nor
    on other random draws. The last batch may be smaller, and a process may have no row of it.

    Args:
        lengths: of all rows, in tokens.
        batch_size: rows of a joint batch.
        seed: of the order.
        share: of this process.
        grouped: whether the rows of a batch have similar lengths.

    Attributes:
        epoch: to draw, from 0.
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
        """Set the epoch to draw next, from 0."""
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
        # Groups come from long to short again and again, which would bias a model. The first batch
        # stays, because it has the longest row: a lack of memory then shows at once.
        first, middle, last = batches[:1], batches[1:-1], batches[1:][-1:]
        drawn = torch.randperm(len(middle), generator=generator).tolist()
        return [*first, *(middle[number] for number in drawn), *last]

    def _cut(self, order: list[int]) -> list[list[int]]:
        size = self._batch_size
        return [order[begin : begin + size] for begin in range(0, len(order), size)]
