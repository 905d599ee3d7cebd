"""Rows of JSON lines and Parquet files, whatever a row holds; faults are named by their place."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from retune.core.errors import excerpt
from retune.core.plain_files import read_bytes
from retune.ingest.findings import Finding
from retune.ingest.strict_json import parse_json
from retune.ingest.text_files import UnreadableError

T = TypeVar("T")
#: Place and values of a row, or what is wrong with it.
Row = tuple[str, list[Any]] | Finding

_ROOMY = 2**26  # bytes that a Parquet file may always unpack to
_RATIO = 100  # how many times its own size it may unpack to beyond that


def by_suffix(file: str, readers: Mapping[str, Callable[[], Iterator[T]]]) -> list[T]:
    """Read a file by the reader of its suffix.

    Raises:
        UnreadableError: no reader has this suffix, or the file has no rows.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in readers:
        why = f"a file of this suffix is not read; allowed: {', '.join(readers)}"
        raise UnreadableError("unknown_form", file, why)
    items = list(readers[suffix]())
    if not items:
        why = "the file has no rows; add some, or do not name it in the params"
        raise UnreadableError("empty_file", file, why)
    return items


def as_records(rows: Iterable[Row], record: Callable[..., T]) -> Iterator[T | Finding]:
    """Yield `record(place, *values)` for each row, and findings as they are."""
    for row in rows:
        yield row if isinstance(row, Finding) else record(row[0], *row[1])


def json_rows(text: str, file: str, names: Sequence[str | int]) -> Iterator[Row]:
    """Yield the values under `names` of the object in each line."""
    # Not `splitlines`, which also splits at rare characters inside strings.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"line {number}"
            try:
                yield where, _values(line, names)
            except _RowError as error:
                yield Finding(error.kind, "error", file, where, "", str(error))


class _RowError(Exception):
    """What is wrong with a line."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def _values(line: str, names: Sequence[str | int]) -> list[Any]:
    try:
        value = parse_json(line)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        message = f"not a JSON object ({reason}); a file holds one on each line"
        raise _RowError("malformed", message) from None
    if not isinstance(value, dict):
        message = f"{excerpt(value)} is not an object; write one on each line"
        raise _RowError("malformed", message)
    if absent := [name for name in names if name not in value]:
        message = f"no {' and no '.join(map(excerpt, absent))}; its keys are {excerpt([*value])}"
        raise _RowError("missing_field", message)
    return [value[name] for name in names]


def parquet_rows(
    path: Path, file: str, columns: Sequence[str | int], sha256: str | None
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the values in `columns` (names, or numbers from 1) of each row."""
    with parquet_file(path, file, sha256) as table:
        names = table.schema_arrow.names
        chosen = [names[column_index(column, names, file)] for column in columns]
        number = 0
        for batch in table.iter_batches(columns=chosen):
            for row in batch.to_pylist():
                yield f"row {number}", [row[name] for name in chosen]
                number += 1


def column_index(column: str | int, names: Sequence[str], file: str) -> int:
    """The index of a column among `names`, those of the first row.

    Raises:
        UnreadableError: there is no such column, or more than one.
    """
    if isinstance(column, int):
        if column > len(names):
            why = f"no column {column}; its first row has {len(names)}"
            raise UnreadableError("missing_column", file, why)
        return column - 1
    if (count := names.count(column)) != 1:
        why = f"{count or 'no'} columns {excerpt(column)}; its columns are "
        raise UnreadableError("missing_column", file, why + ", ".join(map(excerpt, names)))
    return names.index(column)


@contextmanager
def parquet_file(path: Path, file: str, sha256: str | None = None) -> Iterator[Any]:
    """Open a Parquet file as a `pyarrow.parquet.ParquetFile`; with `sha256`, compare its sum first.

    Raises:
        UnreadableError: it is not a Parquet file, is damaged, or unpacks to too much.
    """
    import pyarrow as pa
    from pyarrow import parquet

    data = read_bytes(path, sha256)
    try:
        with parquet.ParquetFile(pa.BufferReader(data)) as table:
            _check_size(table.metadata, len(data), file)
            yield table
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        why = f"not a readable Parquet file ({reason})"
        raise UnreadableError("invalid_parquet", file, why) from None


def _check_size(metadata: Any, packed: int, file: str) -> None:
    """Refuse a file that would fill the memory; only repeated bytes compress that much."""
    groups = range(metadata.num_row_groups)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in groups)
    if unpacked > max(_ROOMY, _RATIO * packed):
        why = (
            f"{packed:,} bytes that unpack to {unpacked:,}, over {_RATIO} times as many, which "
            "no text does; unpack it yourself if you trust it"
        )
        raise UnreadableError("invalid_parquet", file, why)
