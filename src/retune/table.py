"""The headline figures of the workspace and of experiments, as a table or as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retune.errors import RetuneError
from retune.params import load_yaml
from retune.storage import read_json
from retune.terminal_text import escaped

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
_METRICS = ("qa.json", "qa_costs.json", "qa_times.json")

Row = dict[str, Any]


def workspace_row(folder: Path = Path(".")) -> Row:
    """Name, model and metrics of the files in the workspace."""
    metrics: dict[str, Any] = {}
    for name in _METRICS:
        metrics |= read_json(folder / "metrics" / name)["qa"]
    # What was run last, whatever params.yaml says by now.
    lock = load_yaml(folder / "dvc.lock")
    model = lock["stages"]["train"]["params"]["params.yaml"]["qa.model"]
    values = {key: metrics.get(key.removeprefix("qa.")) for _, key, *_ in (*COLUMNS, TRAINED)}
    return {"name": "workspace", "qa.model": model} | values


def experiment_rows(names: Sequence[str] = ()) -> list[Row]:
    """Rows of the experiments on the current commit, or of those in `names`, best F1 first."""
    rows = [_experiment_row(shown) for shown in shown_experiments(names)]
    return sorted(rows, key=lambda row: -(row["qa.f1"] or 0.0))


def shown_experiments(names: Sequence[str] = ()) -> list[Row]:
    """What DVC shows of the experiments on the current commit: name, metrics, params.

    Raises:
        RetuneError: one of `names` is not there.
    """
    import dvc.api

    every = map(_of_this_pipeline, dvc.api.exp_show(param_deps=False))
    rows = [row for row in every if row.get("Experiment")]
    found = {row["Experiment"] for row in rows}
    if missing := [name for name in names if name not in found]:
        raise RetuneError(
            f"no experiment {', '.join(missing)} on this commit; there are: "
            f"{', '.join(sorted(found)) or 'none'}"
        )
    return [row for row in rows if not names or row["Experiment"] in names]


def _of_this_pipeline(row: Row) -> Row:
    """A row without the columns of sister pipelines.

    DVC puts the file in front of a name that stands in several files, as in
    `params.yaml:qa.model`.
    """
    own = {key: value for key, value in row.items() if not key.startswith("pipelines/")}
    return {key.rpartition(":")[2]: value for key, value in own.items()}


def render(rows: Sequence[Row], as_json: bool) -> None:
    """Print `rows` within 80 columns, or as JSON."""
    if as_json:
        json.dump(rows, sys.stdout, indent=2)
        print()
        return
    columns = [*COLUMNS]
    if any((row[TRAINED[1]] or row["qa.parameters"]) != row["qa.parameters"] for row in rows):
        columns.insert(3, TRAINED)  # behind all weights
    headings = [heading for heading, *_ in columns]
    cells = [
        [row["name"], str(row["qa.model"])]
        + [_cell(row[key], unit, pattern) for _, key, unit, pattern in columns]
        for row in rows
    ]
    print_table(["experiment", "model"], headings, cells)


def print_table(
    texts: Sequence[str], figures: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print `rows` under the headings, `texts` to the left and then `figures` to the right.

    The table is as wide as the terminal, or at most 80 columns where there is none. Where it would
    be wider, long texts go on in the next line; figures stay whole.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escaped, row))
    console = Console(width=None if sys.stdout.isatty() else 80, markup=False, highlight=False)
    console.print(table)


def _experiment_row(shown: dict[str, Any]) -> Row:
    values = {key: shown.get(key) for _, key, *_ in (*COLUMNS, TRAINED)}
    return {"name": shown["Experiment"], "qa.model": shown.get("qa.model")} | values


def _cell(value: float | None, unit: float, pattern: str) -> str:
    return "-" if value is None else pattern.format(value / unit)
