"""Data files to rows of a text and a label each, as the file gives them, with their place.

The suffix of the name determines the form: TSV, CSV, JSON lines or Parquet.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from retune.core.errors import excerpt
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError, read_text
from retune.ingest.text_rows import (
    as_records,
    by_suffix,
    column_index,
    json_rows,
    parquet_rows,
)
from retune.ingest.text_tables import Table

_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d*)?\s*")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns hold text and label, and what the labels mean.

    A column is a name or, in a table, a number from 1. Tables without a `header` have numbers
    only. `labels` maps each label of the file to one of `LABELS`.
    """

    header: bool
    text: str | int
    label: str | int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One row. The values in its two columns may be of any type."""

    file: str
    where: str
    text: Any
    label: Any


def read_records(
    path: Path, file: str, layout: Layout, sha256: str | None = None
) -> list[Record | Finding]:
    """Read a file in its order; faults of its rows are findings among the records.

    Args:
        path: the file to read.
        file: its name, whose suffix determines the form, for findings and errors.
        layout: of its rows.
        sha256: the expected sum of the file, where it is known.

    Raises:
        UnreadableError: the file has another form, another encoding than UTF-8, broken quotes, no
            such column, or no rows.
    """
    columns = [layout.text, layout.label]
    text = partial(read_text, path, file, sha256)
    record = partial(Record, file)
    return by_suffix(
        file,
        {
            ".tsv": lambda: _table(text(), file, ".tsv", layout),
            ".csv": lambda: _table(text(), file, ".csv", layout),
            ".jsonl": lambda: as_records(json_rows(text(), file, columns), record),
            ".parquet": lambda: as_records(parquet_rows(path, file, columns, sha256), record),
        },
    )


def _table(text: str, file: str, suffix: str, layout: Layout) -> Iterator[Record | Finding]:
    table = Table(text, file, suffix, partial(_has_columns, layout))
    count = 0
    for item in _rows(table, file, layout):
        count += 1
        yield item
    yield from table.notes if count else ()


def _has_columns(layout: Layout, cells: Sequence[str]) -> bool:
    columns = (layout.text, layout.label)
    return all(c <= len(cells) if isinstance(c, int) else c in cells for c in columns)


def _rows(table: Table, file: str, layout: Layout) -> Iterator[Record | Finding]:
    width = 0
    for line, cells in table:
        if not width:
            width = len(cells)
            text, label = (column_index(c, cells, file) for c in (layout.text, layout.label))
            if layout.header:
                _require_heading(cells[label], file, layout)
                continue
        if len(cells) == width:
            yield Record(file, f"line {line}", cells[text], cells[label])
        else:
            first = "a header" if layout.header else "a first row"
            message = f"{len(cells)} cells under {first} of {width}; correct the row"
            yield Finding("malformed", "error", file, f"line {line}", "", message)


def _require_heading(cell: str, file: str, layout: Layout) -> None:
    """Refuse a first row that is taken for a header but has a label, which would be lost."""
    known = {label.casefold() for label in layout.labels}
    if cell != layout.label and (cell.casefold() in known or _NUMBER.fullmatch(cell)):
        why = f"its first row has the label {excerpt(cell)}, so it is not a header"
        raise UnreadableError("missing_column", file, f"{why}; set `header: false`")
