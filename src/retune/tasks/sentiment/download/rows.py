"""Data files to rows: a text and a label each, as the file gives them, with their place.

The form is told by the suffix of the name: TSV, CSV, JSON lines or Parquet.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from retune.core.errors import excerpt
from retune.core.plain_files import read_bytes
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError, decoded
from retune.ingest.text_rows import json_objects, parquet_file
from retune.ingest.text_tables import Table

#: Suffixes of the supported forms.
SUFFIXES = (".tsv", ".csv", ".jsonl", ".parquet")

_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d*)?\s*")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where rows have text and label, and what their labels mean.

    A column is told by its name or, in a table, by its number from 1; without a `header` only
    by number. `labels` gives for each label of the file one of `LABELS`.
    """

    header: bool
    text: str | int
    label: str | int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One row; what stands in its two columns may be anything."""

    file: str
    where: str
    text: Any
    label: Any


def read_records(
    path: Path, file: str, layout: Layout, sha256: str | None = None
) -> list[Record | Finding]:
    """Read a file in its order, faults of its rows among it.

    Args:
        path: the file to read.
        file: its name, whose suffix tells the form, for findings and errors.
        layout: of its rows.
        sha256: the sum that the file must have when it is read, where it is known.

    Raises:
        UnreadableError: nothing can be told about the rows: another form, another encoding
            than UTF-8, broken quotes, a column that is not there, no row at all.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in SUFFIXES:
        why = f"a file of this suffix is not read; allowed: {', '.join(SUFFIXES)}"
        raise UnreadableError("unknown_form", file, why)
    items = list(_items(path, file, suffix, layout, sha256))
    if not items:
        raise UnreadableError("empty_file", file, "the file has no rows below its header")
    return items


def _items(
    path: Path, file: str, suffix: str, layout: Layout, sha256: str | None
) -> Iterator[Record | Finding]:
    if suffix == ".parquet":
        return _parquet(path, file, layout, sha256)
    text = decoded(read_bytes(path, sha256), file)
    return (
        _json_lines(text, file, layout)
        if suffix == ".jsonl"
        else _table(text, file, suffix, layout)
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
            text, label = (_index(c, cells, file, layout) for c in (layout.text, layout.label))
            if layout.header:
                _require_heading(cells[label], file, layout)
                continue
        if len(cells) == width:
            yield Record(file, f"line {line}", cells[text], cells[label])
        else:
            said = "a header" if layout.header else "a first row"
            message = f"{len(cells)} cells under {said} of {width}; mend the row"
            yield Finding("malformed", "error", file, f"line {line}", "", message)


def _require_heading(cell: str, file: str, layout: Layout) -> None:
    """A first row that is taken for a header, but has a label, would be lost in silence."""
    known = {label.casefold() for label in layout.labels}
    if cell != layout.label and (cell.casefold() in known or _NUMBER.fullmatch(cell)):
        why = f"its first row has the label {excerpt(cell)}, so that it is no header"
        raise UnreadableError("missing_column", file, f"{why}; set `header: false`")


def _index(column: str | int, cells: Sequence[str], file: str, layout: Layout) -> int:
    """Where in a row a column is; `cells` are those of the first row."""
    if isinstance(column, int):
        if column > len(cells):
            why = f"no column {column}; its first row has {len(cells)}"
            raise UnreadableError("missing_column", file, why)
        return column - 1
    if (count := cells.count(column)) != 1:
        why = f"{count or 'no'} columns {excerpt(column)}; its columns are "
        raise UnreadableError("missing_column", file, why + ", ".join(map(excerpt, cells)))
    return cells.index(column)


def _json_lines(text: str, file: str, layout: Layout) -> Iterator[Record | Finding]:
    for item in json_objects(text, file):
        yield item if isinstance(item, Finding) else _record_of(item[1], file, item[0], layout)


def _record_of(value: dict[Any, Any], file: str, where: str, layout: Layout) -> Record | Finding:
    if absent := [name for name in (layout.text, layout.label) if name not in value]:
        message = f"no {' and no '.join(map(excerpt, absent))}; its keys are {excerpt([*value])}"
        return Finding("missing_field", "error", file, where, "", message)
    return Record(file, where, value[layout.text], value[layout.label])


def _parquet(
    path: Path, file: str, layout: Layout, sha256: str | None
) -> Iterator[Record | Finding]:
    with parquet_file(path, file, sha256) as table:
        names = table.schema_arrow.names
        text, label = (
            names[_index(column, names, file, layout)] for column in (layout.text, layout.label)
        )
        number = 0
        for batch in table.iter_batches(columns=[text, label]):
            for row in batch.to_pylist():
                yield Record(file, f"row {number}", row[text], row[label])
                number += 1
