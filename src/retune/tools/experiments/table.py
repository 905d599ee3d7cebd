"""The headline figures of the workspace and of experiments, as a table or as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retune.core.files import read_json
from retune.core.params import load_yaml
from retune.tables.metrics_files import figures_of
from retune.tables.terminal_tables import print_table, print_wrapped

#: Columns: heading, dotted name of the metric, unit, format of the value in that unit.
COLUMNS = (
    ("EM", "qa.exact_match", 1, "{:.2f}"),
    ("F1", "qa.f1", 1, "{:.2f}"),
    ("weights", "qa.parameters", 1e6, "{:,.1f}M"),
    ("train s", "qa.train_seconds", 1, "{:,.0f}"),
    ("win/s", "qa.train_windows_per_second", 1, "{:.1f}"),
)
#: Shown where it is less than all parameters.
TRAINED = ("trained", "qa.trained_parameters", 1e6, "{:,.1f}M")
#: A sentence on experiments in groups.
APART = (
    "Experiments of different groups are not compared, because their validation questions or "
    "their scoring rules differ."
)
METRICS = ("qa.json", "qa_costs.json", "qa_times.json")

Row = dict[str, Any]


def workspace_row(folder: Path = Path(".")) -> Row:
    """Name, model and metrics of the files in the workspace."""
    metrics: dict[str, Any] = {}
    for name in METRICS:
        metrics |= figures_of(read_json(folder / "metrics" / name))
    # What was run last, whatever params.yaml says by now.
    lock = load_yaml(folder / "dvc.lock")
    model = lock["stages"]["train"]["params"]["params.yaml"]["qa.model"]
    values = {key: metrics.get(key.removeprefix("qa.")) for _, key, *_ in (*COLUMNS, TRAINED)}
    return {"name": "workspace", "qa.model": model} | values


def render(rows: Sequence[Row], as_json: bool) -> None:
    """Print `rows` within 80 columns, or as JSON.

    Experiments on different validation data stand in tables of their own.
    """
    if as_json:
        json.dump(rows, sys.stdout, indent=2)
        print()
        return
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault("" if row.get("state") else row.get("data", ""), []).append(row)
    unended = groups.pop("", []) if len(groups) > 1 else []
    for data, group in groups.items():
        if len(groups) > 1:
            print_wrapped(data)
        _print_rows([*group, *(unended if len(groups) == 1 else [])])
    if len(groups) > 1:
        print_wrapped(APART)
        if unended:
            _print_rows(unended)


def _print_rows(rows: Sequence[Row]) -> None:
    columns = [*COLUMNS]
    if any((row[TRAINED[1]] or row["qa.parameters"]) != row["qa.parameters"] for row in rows):
        columns.insert(3, TRAINED)  # behind all weights
    headings = [heading for heading, *_ in columns]
    states = ["state"] if any(row.get("state") for row in rows) else []
    cells = [
        [row["name"], str(row["qa.model"]), *(row.get("state") or "done" for _ in states)]
        + [_cell(row[key], unit, pattern) for _, key, unit, pattern in columns]
        for row in rows
    ]
    print_table(["experiment", "model", *states], headings, cells)


def _cell(value: float | None, unit: float, pattern: str) -> str:
    return "-" if value is None else pattern.format(value / unit)
