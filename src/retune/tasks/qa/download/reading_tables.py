"""Read CSV and Parquet: one question per row, with its answers in one column or two."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retune.core.errors import excerpt, listed
from retune.ingest.findings import Finding
from retune.ingest.text_files import UnreadableError
from retune.ingest.text_rows import parquet_file
from retune.ingest.text_tables import Table
from retune.tasks.qa.download.reading_answers import STARTS, TEXTS, start_cell, value_cell
from retune.tasks.qa.download.reading_forms import form_of_columns
from retune.tasks.qa.download.reading_literals import parse_cell

_NEEDED = ["id", "context", "question"]
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def read_csv(
    text: str, file: str, suffix: str, *, answers: bool
) -> Iterator[tuple[str, Any] | Finding]:
    """Yield `(where, value)` for each row below the header, `value` as in flat JSON.

    Without `answers`, the table needs no columns for them.

    Raises:
        UnreadableError: the header lacks a column, or quotes are broken.
    """
    table = Table(text, file, suffix, set(_NEEDED).issubset)
    names: list[str] = []
    count = 0
    for line, cells in table:
        if not names:
            names = cells
            _check_columns(names, file, answers)
        elif len(cells) == len(names):
            count += 1
            yield _csv_row(file, f"line {line}:", dict(zip(names, cells, strict=True)))
        else:
            message = f"{len(cells)} cells under a header of {len(names)}; correct the row"
            yield Finding("malformed", "error", file, f"line {line}:", "", message)
    yield from table.notes if count else ()


def read_parquet(
    path: Path, file: str, sha256: str | None = None, *, answers: bool = True
) -> Iterator[tuple[str, Any]]:
    """Yield `(where, value)` for each row, `value` as in flat JSON.

    Without `answers`, the table needs no columns for them.

    Raises:
        UnreadableError: the file is damaged or lacks a column.
    """
    with parquet_file(path, file, sha256) as table:
        _check_columns(table.schema_arrow.names, file, answers)
        number = 0
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                yield f"row {number}:", row
                number += 1


def _check_columns(names: Sequence[str], file: str, answers: bool) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if answers and not _have_answers(set(names)):
        missing.append("answers (or answer_text and answer_start)")
    twice = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if missing and (form := form_of_columns(names)):
        raise UnreadableError("unknown_form", file, f"found {form}")
    if missing or twice:
        what = f"no column {', '.join(missing)}" if missing else f"two columns {', '.join(twice)}"
        why = f"{what}; its columns are {listed([excerpt(name) for name in names], 30)}"
        raise UnreadableError("missing_column", file, why)


def _have_answers(names: set[str]) -> bool:
    return not names.isdisjoint(("answers", "answer")) or not (
        names.isdisjoint(TEXTS) or names.isdisjoint(STARTS)
    )


def _csv_row(file: str, where: str, cells: dict[str, str]) -> tuple[str, Any] | Finding:
    value: dict[str, Any] = dict(cells)
    impossible = value.pop("is_impossible", "")
    if impossible:
        value["is_impossible"] = _TRUTH.get(impossible.lower(), impossible)
    starts = [name for name in STARTS if name in cells]
    for name in starts:
        value[name] = start_cell(cells[name])
    if any(isinstance(value[name], list) for name in starts):
        value |= {name: value_cell(cells[name]) for name in TEXTS if name in cells}
    whole = next((name for name in ("answers", "answer") if name in cells), None)
    if whole is None or starts:
        return where, value
    try:
        value[whole] = parse_cell(cells[whole]) if cells[whole].strip() else []
    except ValueError:
        message = (
            f"{excerpt(cells[whole])} is not JSON; write "
            '{"text": ["..."], "answer_start": [0]}, or use columns answer_text and answer_start'
        )
        return Finding("malformed", "error", file, f"{where}/{whole}", cells["id"], message)
    return where, value
