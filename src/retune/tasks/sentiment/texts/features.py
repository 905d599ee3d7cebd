"""The tokenized texts of a split on disk: an unpadded Arrow stream.

A row has the token ids of a text, with special tokens, and its label.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retune.core.errors import RetuneError
from retune.core.feature_files import AGAIN, feature_writer, read_features
from retune.tasks.sentiment.texts.examples import LABELS

_SCHEMA = pa.schema({"input_ids": pa.list_(pa.int32()), "label": pa.int8()})


class Row(NamedTuple):
    """One text: T token ids, and its label."""

    input_ids: NDArray[np.int32]  # (T,)
    label: int


@dataclass(frozen=True)
class Rows:
    """N texts whose tokens are concatenated; a sequence of `Row`."""

    input_ids: NDArray[np.int32]  # (tokens of all texts,)
    bounds: NDArray[np.int64]  # (N + 1,) where each text begins, and the last ends
    labels: NDArray[np.int8]  # (N,)

    @classmethod
    def without_labels(cls, input_ids: Sequence[Sequence[int]]) -> "Rows":
        """Make rows of tokens without labels; all labels are 0."""
        bounds = np.cumsum([0, *map(len, input_ids)])
        flat = np.array([token for ids in input_ids for token in ids], np.int32)
        return cls(flat, bounds, np.zeros(len(input_ids), np.int8))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Row:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return Row(self.input_ids[self.bounds[row] : self.bounds[row + 1]], int(self.labels[row]))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, shape (N,)."""
        return np.diff(self.bounds)


class RowWriter:
    """Appends texts to an open Arrow stream, a record batch a call."""

    def __init__(self, stream: pa.RecordBatchStreamWriter) -> None:
        self._stream = stream

    def write(self, input_ids: Sequence[Sequence[int]], labels: Sequence[int]) -> None:
        """Write texts, given by their tokens, and their labels as one record batch."""
        columns = [pa.array(input_ids, _SCHEMA.types[0]), pa.array(labels, _SCHEMA.types[1])]
        self._stream.write_batch(pa.record_batch(columns, schema=_SCHEMA))


@contextmanager
def row_writer(path: Path) -> Iterator[RowWriter]:
    """Open `path` for texts; the file appears when the block ends without an error."""
    with feature_writer(path, _SCHEMA) as stream:
        yield RowWriter(stream)


def read_rows(path: Path) -> Rows:
    """The texts that `row_writer` wrote.

    Raises:
        RetuneError: the file is absent or damaged, has no rows, or has an unknown label.
    """
    table = read_features(path, _SCHEMA.equals, ", ".join(_SCHEMA.names))
    ids, labels = table["input_ids"].combine_chunks(), table["label"].to_numpy()
    unknown = np.flatnonzero((labels < 0) | (labels >= len(LABELS)))
    if len(unknown):
        row = int(unknown[0])
        raise RetuneError(
            f"{path}: row {row}: the label {labels[row]} is none of 0 to {len(LABELS) - 1}; {AGAIN}"
        )
    lengths = ids.value_lengths().to_numpy()
    bounds = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    # A copy, since torch wants what it could write to.
    return Rows(np.array(ids.flatten()), bounds, labels)
