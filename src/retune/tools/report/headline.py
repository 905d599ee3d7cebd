"""Print the results of one pipeline in the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tools.project.graph import read_pipeline
from retune.tools.report.content import Remark, Table, shown
from retune.tools.report.results import read_metrics, results
from retune.tools.report.sources import Reader

_WIDTH = 80
#: A column's heading and cells.
Shown = tuple[str, list[str]]


def print_results(root: Path, folder: Path, *, as_json: bool) -> None:
    """Print scores and costs by variant of the pipeline in `folder` of the project in `root`."""
    reader = Reader(root, read_pipeline(root, folder.name, folder.as_posix()))
    blocks = [block for part in results(read_metrics(reader)) for block in part.blocks]
    tables = [block for block in blocks if isinstance(block, Table)]
    if as_json:
        print(json.dumps([_plain(table) for table in tables], indent=2))
        return
    for table in tables:
        print_wrapped(table.caption)
        for texts, figures in _fitting(_columns(table)):
            rows = zip(*(cells for _, cells in (*texts, *figures)), strict=True)
            names, values = ([heading for heading, _ in part] for part in (texts, figures))
            print_table(names, values, [list(row) for row in rows])
    for remark in (*reader.remarks(), *(block for block in blocks if isinstance(block, Remark))):
        print_wrapped(remark.text)


def _columns(table: Table) -> list[list[Shown]]:
    """Return the columns of text, and the columns of figures."""
    parts: list[list[Shown]] = [[], []]
    for column, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True):
        is_figure = column.form not in {"text", "code"}
        parts[is_figure].append((column.heading, [shown(cell, column.form) for cell in cells]))
    return parts


def _fitting(parts: list[list[Shown]]) -> Iterator[tuple[list[Shown], list[Shown]]]:
    """Yield the columns in parts that fit the width, each with all text columns."""
    texts, figures = parts
    taken: list[Shown] = []
    for figure in figures:
        if taken and _width([*texts, *taken, figure]) > _WIDTH:
            yield texts, taken
            taken = []
        taken.append(figure)
    yield texts, taken


def _width(columns: list[Shown]) -> int:
    return sum(max(map(len, [heading, *cells])) + 2 for heading, cells in columns)


def _plain(table: Table) -> dict[str, object]:
    headings = [column.heading for column in table.columns]
    return {
        "caption": table.caption,
        "rows": [dict(zip(headings, row, strict=True)) for row in table.rows],
    }
