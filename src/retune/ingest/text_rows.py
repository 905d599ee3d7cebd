"""Files of rows, whatever a row has: JSON lines and Parquet, with faults named by their place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retune.core.errors import RetuneError, excerpt
from retune.core.plain_files import read_bytes
from retune.fetch.fetching import Source
from retune.ingest.findings import Finding
from retune.ingest.strict_json import parse_json
from retune.ingest.text_files import UnreadableError


def json_objects(text: str, file: str) -> Iterator[tuple[str, dict[Any, Any]] | Finding]:
    """The object of each line with its place, or what is wrong with the line."""
    # Not `splitlines`, for which many a rare character ends a line.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            value = parse_json(line)
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            message = f"not a JSON object ({reason}); a file holds one on each line"
            yield Finding("malformed", "error", file, where, "", message)
            continue
        if isinstance(value, dict):
            yield where, value
        else:
            message = f"{excerpt(value)} is not an object; write one on each line"
            yield Finding("malformed", "error", file, where, "", message)


@contextmanager
def parquet_file(path: Path, file: str, sha256: str | None = None) -> Iterator[Any]:
    """An open Parquet file, as pyarrow has it, that has the sum `sha256` where one is given.

    Raises:
        UnreadableError: it is none, or is found to be damaged while it is read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    data = read_bytes(path, sha256)
    try:
        with parquet.ParquetFile(pa.BufferReader(data)) as table:
            yield table
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        why = f"not a readable Parquet file ({reason})"
        raise UnreadableError("invalid_parquet", file, why) from None


def require_count(source: Source, items: Sequence[object]) -> None:
    """Refuse a file of a known data set that has not as many rows as that has.

    Raises:
        RetuneError: it has more or fewer.
    """
    if source.questions not in (None, len(items)):
        raise RetuneError(
            f"{source.name}: {len(items):,} rows, but this data set has "
            f"{source.questions:,}; the file is not the one it should be"
        )
