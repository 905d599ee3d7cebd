"""The share of one of several processes in the work of a stage.

A batch is the unit of sharing. Each is computed whole, by one process, so that results do not
depend on the number of processes: a batch of other rows would have other rounding.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from retune.core.files import atomic_path

Row = TypeVar("Row")
Result = TypeVar("Result")

#: Batches that a process computes between two exchanges. More of them even out how long batches
#: take, but need more memory.
_AT_A_TIME = 4


@dataclass(frozen=True)
class Share:
    """The share of process `index` (from 0) of the `count` that work together."""

    index: int = 0
    count: int = 1

    @classmethod
    def of_launch(cls) -> "Share":
        """Return the share of this process in its launch; without a launch, all of the work.

        This connects the process to the others. On GPUs it also chooses the process's own device,
        so call it before a model moves there.
        """
        if "LOCAL_RANK" not in os.environ:
            return cls()
        import torch
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        return cls(state.process_index, state.num_processes)

    @property
    def is_first(self) -> bool:
        """Whether this is the first process, which alone writes outputs."""
        return self.index == 0

    def run_of(self, items: int) -> range:
        """This process's run of `items`; the lengths of the runs differ by one at most."""
        begin, end = (items * place // self.count for place in (self.index, self.index + 1))
        return range(begin, end)

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes in their order, the same list in each process."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object

        values: list[Any] = gather_object([value])
        return values

    def computed(
        self, rows: Sequence[Row], size: int, compute: Callable[[Sequence[Row]], Result]
    ) -> Iterator[tuple[Sequence[Row], Result]]:
        """Yield each batch of `size` rows and its result, in order and in every process.

        Each process computes every n-th batch, because neighbours take about as long where rows
        are sorted by length. Results travel between processes, so they should be small and not on
        a GPU.
        """
        every = [rows[begin : begin + size] for begin in range(0, len(rows), size)]
        step = self.count * _AT_A_TIME if self.count > 1 else 1
        for begin in range(0, len(every), step):
            some = every[begin : begin + step]
            found = self.gathered([compute(batch) for batch in some[self.index :: self.count]])
            for number, batch in enumerate(some):
                yield batch, found[number % self.count][number // self.count]

    @contextmanager
    def output(self, path: Path) -> Iterator[Path]:
        """Yield `atomic_path(path)` in the first process, and in others a path that is removed."""
        if self.is_first:
            with atomic_path(path) as written:
                yield written
        else:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / path.name


#: The share of a process that works by itself.
ALONE = Share()
