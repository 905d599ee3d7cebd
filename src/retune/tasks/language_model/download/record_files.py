"""Data files to records of a text each, as the file gives it, with its place.

The suffix of the name determines the form: plain text, JSON lines or Parquet.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from retune.ingest.findings import Finding
from retune.ingest.text_files import read_text
from retune.ingest.text_rows import as_records, by_suffix, json_rows, parquet_rows


@dataclass(frozen=True, slots=True)
class Record:
    """One text. A value from a field may be of any type."""

    file: str
    where: str
    text: Any


def read_records(
    path: Path, file: str, field: str, sha256: str | None = None
) -> list[Record | Finding]:
    """Read a file in its order; faults of its rows are findings among the records.

    Args:
        path: the file to read.
        file: its name, whose suffix determines the form, for findings and errors.
        field: the name of the text in a row. A plain text file is one text.
        sha256: the expected sum of the file, where it is known.

    Raises:
        UnreadableError: the file has another form, another encoding than UTF-8, no such column,
            or no rows.
    """
    text = partial(read_text, path, file, sha256)
    record = partial(Record, file)
    return by_suffix(
        file,
        {
            ".txt": lambda: iter([record("line 1", text())]),
            ".jsonl": lambda: as_records(json_rows(text(), file, [field]), record),
            ".parquet": lambda: as_records(parquet_rows(path, file, [field], sha256), record),
        },
    )
