"""Data files to records of a text each, as the file gives it, with its place.

The form is told by the suffix of the name: plain text, JSON lines or Parquet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retune.core.errors import excerpt
from retune.core.plain_files import read_bytes
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError, decoded
from retune.ingest.text_rows import json_objects, parquet_file

#: Suffixes of the supported forms.
SUFFIXES = (".txt", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Record:
    """One text; where it comes from a field, it may be anything."""

    file: str
    where: str
    text: Any


def read_records(
    path: Path, file: str, field: str, sha256: str | None = None
) -> list[Record | Finding]:
    """Read a file in its order, faults of its rows among it.

    Args:
        path: the file to read.
        file: its name, whose suffix tells the form, for findings and errors.
        field: the name of the text in a row; a plain text file is one text.
        sha256: the sum that the file must have when it is read, where it is known.

    Raises:
        UnreadableError: nothing can be told about the texts: another form, another encoding than
            UTF-8, a column that is not there, no row at all.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in SUFFIXES:
        why = f"a file of this suffix is not read; allowed: {', '.join(SUFFIXES)}"
        raise UnreadableError("unknown_form", file, why)
    if suffix == ".txt":
        return [Record(file, "line 1", decoded(read_bytes(path, sha256), file))]
    rows = _parquet if suffix == ".parquet" else _json_lines
    items = list(rows(path, file, field, sha256))
    if not items:
        raise UnreadableError("empty_file", file, "the file has no rows; take it out of the list")
    return items


def _json_lines(
    path: Path, file: str, field: str, sha256: str | None
) -> Iterator[Record | Finding]:
    for item in json_objects(decoded(read_bytes(path, sha256), file), file):
        yield item if isinstance(item, Finding) else _record_of(item[1], file, item[0], field)


def _record_of(value: dict[Any, Any], file: str, where: str, field: str) -> Record | Finding:
    if field not in value:
        message = f"no field {excerpt(field)}; its fields are {excerpt([*value])}"
        return Finding("missing_field", "error", file, where, "", message)
    return Record(file, where, value[field])


def _parquet(path: Path, file: str, field: str, sha256: str | None) -> Iterator[Record | Finding]:
    with parquet_file(path, file, sha256) as table:
        if field not in (names := table.schema_arrow.names):
            why = f"no column {excerpt(field)}; its columns are {', '.join(names)}"
            raise UnreadableError("missing_column", file, why)
        number = 0
        for batch in table.iter_batches(columns=[field]):
            for text in batch.column(0).to_pylist():
                yield Record(file, f"row {number}", text)
                number += 1
