"""Headline figures of a sister pipeline's experiments: a row for each variant that they changed.

DVC's own table of experiments takes minutes for a graph with hundreds of deps, since it resolves
the whole graph at each commit. The metrics of an experiment are files in git, which are read here.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retune.core.errors import RetuneError
from retune.core.params import parameters
from retune.stats.seed_spread import Variant
from retune.tables.metrics_files import scored_splits
from retune.tables.terminal_tables import print_table, print_wrapped
from retune.tasks.task import Figure, figures, tasks
from retune.tools.experiments.listing import Ref
from retune.tools.experiments.seed_groups import fold
from retune.tools.experiments.table import APART
from retune.tools.project.commands import git
from retune.tools.project.graph import read_pipeline
from retune.tools.report.content import Cell, Spread, shown
from retune.tools.report.results import (
    Key,
    Metrics,
    cells_by_variant,
    form,
    heading,
    read_metrics,
    rows,
)
from retune.tools.report.sources import Reader

VARIANT = "variant"
_STAGE = "stage"  # the axis of stages without variants


def compared() -> dict[str, Figure]:
    """Return the figures that experiments are compared by, in the order of their columns."""
    return {name: figure for name, figure in figures().items() if figure.compared}


@dataclass(frozen=True)
class Result:
    """The headline figures of one variant in one experiment.

    Attributes:
        experiment: its name.
        variant: of the pipeline, by axis, such as `{"method": "bert"}`.
        figures: those that experiments are compared by; with several seeds, mean and interval.
        data: the validation data, and the params that decide how figures are computed.
        params: of the experiment, by dotted name.
    """

    experiment: str
    variant: Mapping[str, str]
    figures: Mapping[str, Cell]
    data: str
    params: Mapping[str, Any]

    @property
    def axes(self) -> Key:
        """The names of the axes."""
        return tuple(self.variant)


def read_results(top: Path, folder: Path, refs: Iterable[Ref]) -> tuple[list[Result], list[str]]:
    """Read the figures of finished experiments of the pipeline in `folder` of the project `top`.

    An experiment has a result for each variant whose metrics its commit does not have.

    Returns:
        The results, and a sentence on each experiment that has none.
    """
    results: list[Result] = []
    notes = []
    for ref in refs:
        try:
            found = [*_of_experiment(top, folder, ref)]
        except RetuneError as error:
            found = []
            notes.append(f"experiment {ref.name} cannot be read: {error}")
        else:
            if not found:
                notes.append(f"experiment {ref.name}: no figure differs from the commit's")
        results += found
    return results, notes


def _of_experiment(top: Path, folder: Path, ref: Ref) -> Iterator[Result]:
    changed = git(top, "diff", "--name-only", ref.baseline, ref.commit, "--", f"{folder}/metrics")
    with TemporaryDirectory(prefix="retune-experiment-") as copy:
        _extract(top, folder, ref.commit, Path(copy))
        reader = Reader(Path(copy), read_pipeline(Path(copy), folder.name, folder.as_posix()))
        found = read_metrics(reader)
        params = parameters(Path(copy) / folder / "params.yaml")
    if reader.faults:
        raise RetuneError(reader.faults[0].partition("; ")[0])
    data = _scored_on(found, params)
    ran = {_place(m) for m in found if m.output.path in changed.splitlines()}
    groups: dict[Key, list[Metrics]] = {}
    for metrics in found:
        axes, place = _place(metrics)
        if (axes, place) in ran:
            groups.setdefault(axes, []).append(metrics)
    for axes, group in sorted(groups.items(), key=lambda pair: pair[0] == (_STAGE,)):
        by_place = cells_by_variant(group, lambda metrics: _place(metrics)[1])
        for place, cells in by_place.items():
            headline = {name: cells[name] for name in compared() if name in cells}
            if headline:
                variant = dict(zip(axes, place, strict=True))
                yield Result(ref.name, variant, headline, data, params)


def _place(metrics: Metrics) -> tuple[Key, Key]:
    """Return the axes of a metrics file, and its value on each of them."""
    variant = metrics.output.variant or {_STAGE: metrics.output.stage}
    return tuple(variant), tuple(variant.values())


def _extract(top: Path, folder: Path, commit: str, copy: Path) -> None:
    """Write dvc.yaml, params.yaml and the metrics of a pipeline at a commit into `copy`.

    With an index of its own, so that no other git command has to wait.
    """
    paths = [f"{folder}/{name}" for name in ("dvc.yaml", "params.yaml", "metrics")]
    places = {
        "GIT_DIR": git(top, "rev-parse", "--absolute-git-dir"),
        "GIT_WORK_TREE": str(copy),
        "GIT_INDEX_FILE": str(copy / ".index"),
    }
    restore = ("restore", f"--source={commit}", "--worktree", "--", *paths)
    git(copy, *restore, env=os.environ | places)


def _scored_on(found: Sequence[Metrics], params: Mapping[str, Any]) -> str:
    """Describe the recorded split that is scored, and the rules of scoring."""
    recorded = [row for m in found for row in rows(m.value) if "split" in row and "files" in row]
    parts = [_described(split) for split in scored_splits(recorded)]
    rules = [rule for task in tasks().values() for rule in task.rules if rule in params]
    parts += [f"{rule.partition('.')[2]} {params[rule]}" for rule in rules]
    return ", ".join(parts)


def _described(split: Mapping[str, Any]) -> str:
    noun = next((name for name in ("questions", "rows", "texts") if name in split), "files")
    files = ", ".join(f"{file['name']} {file['sha256'][:8]}" for file in split["files"])
    count = split.get(noun, len(split["files"]))
    limit = "" if split.get("limit") is None else f", limit {split['limit']}"
    return f"{count:,} {split['split']} {noun} ({files}){limit}"


def print_experiments(results: Sequence[Result], states: Mapping[str, str]) -> None:
    """Print a table for each kind of variant and scored data, and unfinished experiments."""
    groups: dict[str, dict[Key, list[Result]]] = {}
    for result in results:
        groups.setdefault(result.data, {}).setdefault(result.axes, []).append(result)
    for data, tables in groups.items():
        if len(groups) > 1:
            print_wrapped(data)
        for axes, group in tables.items():
            _print_group(axes, group)
    if len(groups) > 1:
        print_wrapped(APART)
    if states:
        print_table(["experiment", "state"], [], [[*pair] for pair in states.items()])


def _print_group(axes: Key, group: Sequence[Result]) -> None:
    """Print a table with the experiments of each variant together."""
    names = [name for name in compared() if any(name in result.figures for result in group)]
    variants = list(dict.fromkeys(tuple(result.variant.values()) for result in group))
    ordered = sorted(group, key=lambda result: variants.index(tuple(result.variant.values())))
    cells = [
        [*result.variant.values(), result.experiment]
        + [shown(result.figures.get(name), form(name)) for name in names]
        for result in ordered
    ]
    print_table([*axes, "experiment"], list(map(heading, names)), cells)


def as_data(results: Sequence[Result], states: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the same as JSON values."""
    ended = [
        {"name": result.experiment, "state": None, "data": result.data, **result.variant}
        | {name: _plain(cell) for name, cell in result.figures.items()}
        for result in results
    ]
    return [*ended, *({"name": name, "state": state} for name, state in states.items())]


def _plain(cell: Cell) -> object:
    return cell._asdict() if isinstance(cell, Spread) else cell


def fold_seeds(results: Sequence[Result], seed_param: str) -> list[Variant]:
    """Group results that differ only in their seed."""
    params = sorted({key for result in results for key in result.params})
    columns = [
        {
            **result.params,
            **result.figures,
            "name": result.experiment,
            "data": f"by {' and '.join(result.axes)}: {result.data}",
            VARIANT: " ".join(result.variant.values()),
        }
        for result in results
    ]
    keys = [*params, VARIANT]
    folded = fold(columns, keys, seed_param=seed_param, label=VARIANT, figures=compared())
    return [replace(variant, name=f"{variant.name} {variant.model}") for variant in folded]
