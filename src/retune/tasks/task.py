"""What a task declares for the tools: its figures, how a model is asked, its documents.

A task declares it in `retune/tasks/<name>/task.py` as `TASK`. The tools find every such file, so
that a new task needs no entry anywhere else. No stage imports one.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import retune.tasks


@dataclass(frozen=True)
class Figure:
    """A number in a task's metrics files.

    Attributes:
        name: its key in the file.
        heading: of its column. Without one the column has the figure's name, and follows the
            columns that have a heading.
        unit: how the number is written.
        compared: which values are better, for a figure that experiments are compared by.
        short: heading in narrow tables.
        digits: after the decimal point in tables of the spread over seeds.
    """

    name: str
    heading: str = ""
    unit: Literal["bytes", "count", "number", "score", "seconds"] = "number"
    compared: Literal["higher", "lower"] | None = None
    short: str = ""
    digits: int = 2

    @property
    def label(self) -> str:
        """Its heading, or else its name in words."""
        return self.heading or self.name.replace("_", " ")


PARAMETERS = Figure("parameters", "parameters", "count", short="weights")
TRAINED = Figure("trained_parameters", "trained", "count", short="trained")
#: What every training costs, except its rate and its peak memory.
COSTS = (
    PARAMETERS,
    TRAINED,
    Figure("model_bytes", "stored", "bytes"),
    Figure("bundle_bytes", "stored", "bytes"),
    Figure("train_seconds", "training", "seconds", short="train s"),
)
MEMORY = Figure("peak_memory_mb", "peak memory, MB", "count")


@dataclass(frozen=True)
class Asker:
    """How `retune ask` reaches a task's model.

    Attributes:
        name: the value of `--task`.
        module: its function `asker` returns the function that answers one text. It is imported
            when a model is asked.
        text: what one text is.
        params: the settings that it is asked with, from the project's top.
        model: the folder of the trained model, likewise.
        has_confidence: whether answers of too little confidence can be withheld.
    """

    name: str
    module: str
    text: str
    params: str
    model: str
    has_confidence: bool = False


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        section: dotted name of its settings in params.yaml.
        folder: of its dvc.yaml, from the project's top, where the main pipeline has its own.
        figures: scores in its metrics files, in the order of their columns.
        rate: how much a training reads in a second.
        ranking: name of the score that the main pipeline's tables are sorted by.
        rules: params that decide how figures are computed. Figures under different rules are not
            compared.
        asker: None where a model cannot be asked.
        report: module with the sections that only this task has in the report (`add`), and with
            the names of the lists and plots that these show (`CLAIMED`).
        documents: generated parts of each document; docs/generate.py has a function for each.
    """

    section: str
    folder: str
    figures: tuple[Figure, ...] = ()
    rate: Figure | None = None
    ranking: str = ""
    rules: tuple[str, ...] = ()
    asker: Asker | None = None
    report: str | None = None
    documents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """Return the dotted name of a setting or figure in its section."""
        return f"{self.section}.{name}"

    @property
    def compared(self) -> tuple[Figure, ...]:
        """The figures that experiments are compared by."""
        return tuple(figure for figure in self.figures if figure.compared)


@cache
def tasks() -> dict[str, Task]:
    """Return every task by the name of its package, those of the main pipeline first."""
    packages = [m.name for m in pkgutil.iter_modules(retune.tasks.__path__) if m.ispkg]
    modules = {name: importlib.import_module(f"retune.tasks.{name}.task") for name in packages}
    found: dict[str, Task] = {name: module.TASK for name, module in modules.items()}
    return dict(sorted(found.items(), key=lambda pair: (pair[1].folder, pair[1].section)))


def main_task() -> Task:
    """Return the task of the pipeline at the project's top."""
    return next(task for task in tasks().values() if not task.folder)


@cache
def figures() -> dict[str, Figure]:
    """Return the scores of all tasks by name, in the order of each task."""
    found: dict[str, Figure] = {}
    order: list[str] = []
    for task in tasks().values():
        names = [figure.name for figure in task.figures]
        for place, name in enumerate(names):
            if name not in order:
                later = [order.index(other) for other in names[place:] if other in order]
                order.insert(min(later, default=len(order)), name)
        found = {figure.name: figure for figure in task.figures} | found
    return {name: found[name] for name in order}


@cache
def costs() -> dict[str, Figure]:
    """Return what trainings cost by name, with the rates of all tasks."""
    rates = [task.rate for task in tasks().values() if task.rate]
    return {figure.name: figure for figure in (*COSTS, *rates, MEMORY)}


def askers() -> dict[str, Asker]:
    """Return how each model is asked, by the value of `--task`."""
    found = (task.asker for task in tasks().values() if task.asker)
    return {asker.name: asker for asker in found}
