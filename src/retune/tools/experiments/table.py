"""The headline figures of the workspace and of experiments, as a table or as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retune.core.files import read_json
from retune.tables.metrics_files import figures_of
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tasks.task import COSTS, PARAMETERS, TRAINED, Figure, main_task
from retune.tools.experiments.experiments import MODEL
from retune.tools.project.locks import PARAMS, Lock, outdated_stages, outs_of_all

#: The note below tables of several groups.
APART = (
    "Experiments of different groups are not compared, because their test questions or "
    "their scoring rules differ."
)
#: Divisor and format of a figure in the narrow table, by its unit.
_FORMS = {"count": (1e6, "{:,.1f}M"), "seconds": (1, "{:,.0f}"), "number": (1, "{:.1f}")}
_SCORE = (1, "{:.2f}")

Row = dict[str, Any]


def columns() -> dict[str, Figure]:
    """Return the headline figures of the main pipeline by dotted name, in the table's order."""
    task = main_task()
    costs = [*COSTS, *([task.rate] if task.rate else [])]
    shown = [*task.compared, *(figure for figure in costs if figure.short)]
    return {task.key(figure.name): figure for figure in shown}


def keys() -> list[str]:
    """Return the dotted names of these figures in the order of JSON rows."""
    trained = main_task().key(TRAINED.name)
    return [*(key for key in columns() if key != trained), trained]


def metrics_files() -> list[str]:
    """Return the names of the metrics files that have these figures."""
    return [f"{main_task().section}{kind}.json" for kind in ("", "_costs", "_times")]


def workspace_row(folder: Path = Path(".")) -> Row:
    """Return the name, model and figures of the last run, read from files in the workspace."""
    paths = [f"metrics/{name}" for name in metrics_files()]
    files = {path: figures_of(read_json(folder / path)) for path in paths}
    lock = Lock(folder, "")
    outdated = outdated_stages(lock.stages)
    left_out = outs_of_all(lock.stages, outdated)
    metrics: dict[str, Any] = {}
    for path in paths:
        metrics |= {} if path in left_out else files[path]
    # The model of the last run; params.yaml may have changed since.
    model = lock.params(PARAMS, without=outdated)[MODEL]
    figures = {main_task().key(name): value for name, value in metrics.items()}
    return {"name": "workspace", MODEL: model} | {key: figures.get(key) for key in keys()}


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
    shown = columns()
    every, trained = (main_task().key(figure.name) for figure in (PARAMETERS, TRAINED))
    if all((row[trained] or row[every]) == row[every] for row in rows):
        del shown[trained]
    states = ["state"] if any(row.get("state") for row in rows) else []
    cells = [
        [row["name"], str(row[MODEL]), *(row.get("state") or "done" for _ in states)]
        + [_cell(row[key], figure) for key, figure in shown.items()]
        for row in rows
    ]
    headings = [figure.short or figure.heading for figure in shown.values()]
    print_table(["experiment", "model", *states], headings, cells)


def _cell(value: float | None, figure: Figure) -> str:
    divisor, pattern = _FORMS.get(figure.unit, _SCORE)
    return "-" if value is None else pattern.format(value / divisor)
