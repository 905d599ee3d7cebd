"""The windows of a split on disk: an unpadded Arrow stream with a window in each row.

`read_rows` returns the rows as a `datasets.Dataset` for models. `read_windows` returns the columns
that span search needs as plain arrays. `feature_batches` yields all columns, part by part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from retune.core.errors import RetuneError
from retune.core.feature_files import (
    AGAIN,
    explained,
    feature_reader,
    feature_writer,
    require_columns,
)
from retune.tasks.qa.windows.windows import Features, Windows

if TYPE_CHECKING:
    from datasets import Dataset

_INTS = pa.list_(pa.int32())
_SCHEMA = pa.schema(
    {
        "example": pa.int64(),  # row of the question in its split
        "input_ids": _INTS,
        "token_type_ids": _INTS,
        "length": pa.int32(),  # tokens in the window
        "cls": pa.int32(),  # position of the CLS token
        "context_start": pa.int32(),  # context tokens are [context_start, context_end)
        "context_end": pa.int32(),
        "char_start": _INTS,  # characters of each token in the context, 0 elsewhere
        "char_end": _INTS,
        "start_position": pa.int32(),  # first token of the answer, or CLS
        "end_position": pa.int32(),  # last token of the answer, or CLS
    }
)
#: Its columns, for messages.
_COLUMNS = ", ".join(_SCHEMA.names)
#: Columns whose name in the file is not that of the attribute.
_ATTRIBUTES = {"length": "lengths"}


class WindowWriter:
    """Appends windows to an open Arrow stream, a record batch a call."""

    def __init__(self, stream: pa.RecordBatchStreamWriter) -> None:
        self._stream = stream

    def write(self, windows: Features) -> None:
        """Write `windows`, of whole questions, as one record batch."""
        bounds = _array(windows.window_tokens().astype(np.int32))
        columns = []
        for field in _SCHEMA:
            values = _array(getattr(windows, _ATTRIBUTES.get(field.name, field.name)))
            is_list = field.type == _INTS
            columns.append(pa.ListArray.from_arrays(bounds, values) if is_list else values)
        self._stream.write_batch(pa.record_batch(columns, schema=_SCHEMA))


@contextmanager
def window_writer(path: Path) -> Iterator[WindowWriter]:
    """Open `path` for windows; the file appears when the block ends without an error."""
    with feature_writer(path, _SCHEMA) as stream:
        yield WindowWriter(stream)


def read_rows(path: Path) -> "Dataset":
    """The windows as a memory-mapped `datasets.Dataset` whose rows hold numpy arrays.

    Raises:
        RetuneError: the file is absent or damaged, or a label is outside its context.
    """
    from datasets import Dataset

    with explained(path):
        rows = Dataset.from_file(str(path))
    require_columns(rows.data.schema, _SCHEMA.equals, _COLUMNS, path)
    _require_labels(rows.data, path)
    return rows.with_format("numpy")


def _require_labels(table: pa.Table, path: Path) -> None:
    """Refuse labels that are neither CLS twice nor a span of the context's tokens.

    The loss would ignore them silently.
    """
    start, end, cls, low, high = (
        _column(table, name)
        for name in ("start_position", "end_position", "cls", "context_start", "context_end")
    )
    inside = (low <= start) & (start <= end) & (end < high)
    wrong = np.flatnonzero(~(inside | ((start == cls) & (end == cls))))
    if len(wrong):
        row = int(wrong[0])
        raise RetuneError(
            f"{path}: window {row}: its label is the tokens {start[row]} to "
            f"{end[row]}, but its context has the tokens {low[row]} to {high[row] - 1}; "
            f"{AGAIN}"
        )


def read_windows(path: Path) -> Windows:
    """The columns that span search needs, as flat arrays."""
    with feature_reader(path, _SCHEMA.equals, _COLUMNS, mapped=True) as stream:
        table = stream.read_all()
    return Windows(
        example=_column(table, "example"),
        lengths=_column(table, "length"),
        context_start=_column(table, "context_start"),
        context_end=_column(table, "context_end"),
        cls=_column(table, "cls"),
        char_start=_flat(table, "char_start"),
        char_end=_flat(table, "char_end"),
    )


# pyarrow's own conversions from and to numpy import pandas, which takes longer than reading.


def _array(values: np.ndarray[Any, Any]) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, buffer])


def _numbers(column: pa.Array) -> np.ndarray[Any, Any]:
    """The integers of a column without copying; for lists, those of all rows in one array."""
    values = column.flatten() if column.type == _INTS else column
    dtype = values.type.to_pandas_dtype()
    data = values.buffers()[1]
    return np.frombuffer(data, dtype, len(values), np.dtype(dtype).itemsize * values.offset)


def _column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()  # type: ignore[no-any-return]


def _flat(table: pa.Table, name: str) -> np.ndarray:
    chunks = [chunk.flatten().to_numpy() for chunk in table[name].chunks]
    return np.concatenate(chunks) if chunks else np.empty(0, np.int32)


def feature_batches(path: Path) -> Iterator[Features]:
    """Yield all columns, some hundreds of whole questions at a time, in constant memory.

    No memory map is used, because its pages count as the process's own until it ends.
    """
    with feature_reader(path, _SCHEMA.equals, _COLUMNS) as batches:
        for batch in batches:
            yield Features(
                **{_ATTRIBUTES.get(name, name): _numbers(batch[name]) for name in _SCHEMA.names}
            )


def count_windows(path: Path) -> dict[str, int]:
    """Count the `windows` and `tokens` of the file."""
    counts = {"windows": 0, "tokens": 0}
    for windows in feature_batches(path):
        counts["windows"] += len(windows)
        counts["tokens"] += windows.tokens
    return counts
