"""CSV and Parquet: a question a row, with its answers in one column or in two."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retune.errors import excerpt
from retune.findings import Finding
from retune.plain_files import read_bytes
from retune.strict_json import parse_json
from retune.text_files import UnreadableError

_NEEDED = ["id", "context", "question"]
_TRUTH = {"true": True, "false": False}
_LONGEST_CELL = 2**27
_ROOMY = 2**26  # bytes that a Parquet file may always unpack to
_RATIO = 100  # and by how much it may grow beyond


def read_csv(text: str, file: str, delimiter: str) -> Iterator[tuple[str, Any] | Finding]:
    """Yield `(where, value)` for each row below the header, `value` as in flat JSON.

    Raises:
        UnreadableError: for a header without the columns that are needed, or broken quotes.
    """
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(rows)
        _check_columns(names, file)
        line = rows.line_num + 1
        for cells in rows:
            where, line = f"line {line}:", rows.line_num + 1
            if len(cells) == len(names):
                yield _csv_row(file, where, dict(zip(names, cells, strict=True)))
            elif cells:
                message = f"{len(cells)} cells under a header of {len(names)}; mend the row"
                yield Finding("malformed", "error", file, where, "", message)
    except csv.Error as error:
        why = f"not valid CSV ({error})"
        raise UnreadableError("invalid_csv", file, why, str(rows.line_num)) from None


def read_parquet(path: Path, file: str, sha256: str | None = None) -> Iterator[tuple[str, Any]]:
    """Yield `(where, value)` for each row, `value` as in flat JSON.

    Raises:
        UnreadableError: for a damaged file, or one without the columns that are needed.
    """
    import pyarrow as pa
    from pyarrow import parquet

    data = read_bytes(path, sha256)
    try:
        with parquet.ParquetFile(pa.BufferReader(data)) as table:
            _check_columns(table.schema_arrow.names, file)
            _check_size(table.metadata, len(data), file)
            number = 0
            for batch in table.iter_batches():
                for row in batch.to_pylist():
                    yield f"row {number}:", row
                    number += 1
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        why = f"not a readable Parquet file ({reason})"
        raise UnreadableError("invalid_parquet", file, why) from None


def _check_size(metadata: Any, packed: int, file: str) -> None:
    """Refuse a file that would fill the memory: compression does so much with blanks only."""
    groups = range(metadata.num_row_groups)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in groups)
    if unpacked > max(_ROOMY, _RATIO * packed):
        why = (
            f"{packed:,} bytes that unpack to {unpacked:,}, over {_RATIO} times as many, which "
            "no text does; unpack it yourself if you trust it"
        )
        raise UnreadableError("invalid_parquet", file, why)


def _check_columns(names: list[str], file: str) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if "answers" not in names and not {"answer_text", "answer_start"} <= set(names):
        missing.append("answers (or answer_text and answer_start)")
    twice = sorted({name for name in names if names.count(name) > 1})
    if missing or twice:
        what = f"no column {', '.join(missing)}" if missing else f"two columns {', '.join(twice)}"
        why = f"{what}; its columns are {', '.join(map(excerpt, names))}"
        raise UnreadableError("missing_column", file, why)


def _csv_row(file: str, where: str, cells: dict[str, str]) -> tuple[str, Any] | Finding:
    value: dict[str, Any] = dict(cells)
    impossible = value.pop("is_impossible", "")
    if impossible:
        value["is_impossible"] = _TRUTH.get(impossible.lower(), impossible)
    if "answers" not in cells:
        value["answers"] = _two_cells(cells["answer_text"], cells["answer_start"])
        return where, value
    try:
        value["answers"] = parse_json(cells["answers"])
    except (ValueError, RecursionError):
        message = (
            f"{excerpt(cells['answers'])} is not JSON; write "
            '{"text": ["..."], "answer_start": [0]}, or use columns answer_text and answer_start'
        )
        return Finding("malformed", "error", file, f"{where}/answers", cells["id"], message)
    return where, value


def _two_cells(text: str, start: str) -> list[dict[str, Any]]:
    if not text and not start:
        return []
    digits = start.removeprefix("-")
    number = digits.isascii() and digits.isdigit() and len(digits) < 20
    return [{"text": text, "answer_start": int(start) if number else start}]
