"""The run whose model is published: its questions, scores, settings, costs and commit."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retune.adapters import bundles
from retune.core.errors import RetuneError, excerpt, listed
from retune.core.files import read_json
from retune.core.numerics import Doubles
from retune.core.params import Params
from retune.inference.exported import is_export
from retune.inference.projects import params_for
from retune.inference.published import is_published
from retune.inference.settings import TrainedModel, find_model
from retune.stats.paired import Mean, mean_scores
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tasks.qa.score.score import QUESTIONS
from retune.tools.compare.clustering import clusters_of
from retune.tools.project.commands import git
from retune.tools.project.locks import Lock, outs_of
from retune.tools.publish.run_checks import (
    makers,
    require_committed,
    require_current,
    require_parts,
)

_DATASETS = "retune.tasks.qa.datasets"
#: Files of `metrics/` that belong to a published run, by a key that is in no other.
_KEYS = {
    "scores": "kept_epoch", "costs": "model_bytes", "times": "train_seconds",
    "data": "questions_read", "validation": "validation_f1",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A value in a metrics file.

    Attributes:
        value: as it is there.
        source: path of the file from the pipeline's folder, and the value's place in it behind `#`.
    """

    value: Any
    source: str


@dataclass(frozen=True)
class PublishedRun:
    """A run of question answering whose last commit has its metrics.

    Attributes:
        top: the project's top folder.
        folder: the pipeline's.
        trained: the model.
        params: of the pipeline, as the variant of the model.
        lock: what the last run read and wrote.
        test: folder with the test questions.
        commit: the last one, 40 digits.
        date: of this commit, in ISO form with its time zone.
        seconds: likewise, since 1970.
        metrics: files that git keeps, by what they have; see `_KEYS`.
    """

    top: Path
    folder: Path
    trained: TrainedModel
    params: Params
    lock: Lock
    test: Path
    commit: str
    date: str
    seconds: int
    metrics: Mapping[str, str]

    @property
    def results(self) -> Path:
        """The folder with the outputs of all stages: `data/qa`."""
        return self.trained.folder.parent

    @cached_property
    def questions(self) -> list[QuestionScore]:
        """The scored test questions."""
        return [*read_question_scores(self.results / "scores" / QUESTIONS)]

    @cached_property
    def passages(self) -> int:
        """How many passages the test questions have."""
        return len({question.passage for question in self.questions})

    @cached_property
    def means(self) -> dict[str, Mean]:
        """EM and F1 in percent with 95 % intervals, by the bootstrap over passages."""
        return means_of(self.questions)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's configuration."""
        return dict(read_json(self.trained.folder / "config.json"))

    @property
    def is_bundle(self) -> bool:
        """Whether the model has only the weights that were added to a frozen encoder."""
        return (self.trained.folder / bundles.FILE).is_file()

    @property
    def encoder(self) -> str:
        """The pretrained encoder, as params.yaml names it."""
        return str(self.setting("qa.checkpoint")["name"])

    @property
    def has_local_encoder(self) -> bool:
        """Whether the encoder is a folder, which others do not have."""
        return self.encoder.startswith((".", "/", "~")) or (self.folder / self.encoder).is_dir()

    @property
    def pipeline(self) -> str:
        """The pipeline's folder from the project's top; empty for the main one."""
        path = self.folder.resolve().relative_to(self.top.resolve()).as_posix()
        return "" if path == "." else path

    @property
    def scored_split(self) -> str:
        """The test split by the name of its source: the public one of SQuAD is `validation`."""
        return "validation" if self.hub_dataset else "test"

    @property
    def limits(self) -> list[str]:
        """The settings by which only a part of the data was used."""
        names = ("train_limit", "validation_limit", "test_limit", "train_share", "fold")
        section = self.setting("qa.download") or {}
        return [f"`{name}: {section[name]}`" for name in names if section.get(name) is not None]

    @property
    def hub_dataset(self) -> str | None:
        """The id of the data set on the Hugging Face hub, if it comes from there."""
        module = importlib.import_module(f"{_DATASETS}.{self.setting('qa.dataset')}")
        return getattr(module, "REPOSITORY", None)

    @cached_property
    def _contents(self) -> dict[str, Any]:
        """The metrics files, by what they have."""
        return {kind: read_json(self.folder / path) for kind, path in self.metrics.items()}

    def setting(self, name: str) -> Any:
        """Return a value of params.yaml."""
        return self.params.value(name)

    def found(self, kind: str, key: str, **where: Any) -> Found | None:
        """Return the value of a key in a file of metrics; None if the run has no such file.

        Args:
            kind: of the file.
            key: the last part of the value's name.
            where: values beside it, if the key is there several times.
        """
        for place, beside in _mappings(self._contents.get(kind)):
            if key in beside and all(beside.get(name) == value for name, value in where.items()):
                return Found(beside[key], f"{self.metrics[kind]}#{'/'.join((*place, key))}")
        return None

    def value(self, kind: str, key: str, default: Any = None, **where: Any) -> Any:
        """Return what `found` finds, without its place."""
        found = self.found(kind, key, **where)
        return default if found is None else found.value


def means_of(questions: list[QuestionScore]) -> dict[str, Mean]:
    """Return EM and F1 of questions in percent, with 95 % intervals over their passages."""
    return mean_scores(percent_of(questions), clusters_of(questions, "passage"))


def percent_of(questions: Sequence[QuestionScore]) -> dict[str, Doubles]:
    """Return EM and F1 of each of N questions in percent, shape (N,)."""
    return {
        "exact_match": 100.0 * np.array([question.exact_match for question in questions], float),
        "f1": 100.0 * np.array([question.f1 for question in questions], float),
    }


def read_run(model: Path) -> PublishedRun:
    """Read the run that trained and scored the model in a folder.

    Raises:
        RetuneError: the model is of no such run, the run is incomplete or outdated, or it is not
            committed.
    """
    trained = find_model(model, None)
    folder = trained.folder
    if is_export(folder) or is_published(folder):
        kind = "an export" if is_export(folder) else "published"
        raise RetuneError(f"{folder}: {kind}; publish the model that it was made from")
    params = params_for(folder, None, "qa")
    if trained.variant is None or params is None:
        raise RetuneError(
            f"{folder}: no model of a pipeline of retune, so nothing is known of its scores"
        )
    pipeline = params.path.parent
    top = Path(git(pipeline, "rev-parse", "--show-toplevel"))
    place = pipeline.resolve().relative_to(top.resolve()).as_posix()
    lock = Lock(top, "" if place == "." else place)
    test = require_parts(lock, params, folder.parent)
    require_current(lock, params, folder)
    commit, date, seconds = git(top, "log", "-1", "--format=%H%n%cI%n%ct").split("\n")
    metrics = _metrics_of(pipeline, lock, folder, test)
    files = [lock.root / lock.name, *(pipeline / path for path in metrics.values())]
    require_committed(top, files)
    run = PublishedRun(
        top, pipeline, trained, params, lock, test, commit, date, int(seconds), metrics
    )
    _require_same_scores(run)
    if run.is_bundle and run.has_local_encoder:
        raise RetuneError(
            f"{folder}: weights for the encoder in the folder {run.encoder}, which others do not "
            "have; train on an encoder of the hub (qa.checkpoint), or publish another variant"
        )
    return run


def _require_same_scores(run: PublishedRun) -> None:
    """Refuse metrics that are not the means of the questions' scores."""
    for name, mean in run.means.items():
        found = run.value("scores", name)
        if not isinstance(found, float) or abs(found - mean.value) > 1e-6:
            raise RetuneError(
                f"{run.metrics['scores']}: {name} is {excerpt(found)}, but the scored questions "
                f"give {mean.value:.2f}; run `dvc repro`, and commit"
            )


def _metrics_of(pipeline: Path, lock: Lock, model: Path, test: Path) -> dict[str, str]:
    """Return the metrics files of the run's stages, by what they have."""
    found: dict[str, str] = {}
    data = test.resolve().relative_to(pipeline.resolve()).as_posix()
    download = {name for name, stage in lock.stages.items() if data in outs_of(stage)}
    for name in sorted(makers(lock, pipeline, model.parent) | download):
        for path in outs_of(lock.stages[name]):
            if not path.endswith(".json") or not (pipeline / path).is_file():
                continue
            keys = {key for _, each in _mappings(read_json(pipeline / path)) for key in each}
            found |= {kind: path for kind, key in _KEYS.items() if key in keys}
    if missing := [kind for kind in ("scores", "costs", "times") if kind not in found]:
        raise RetuneError(
            f"{lock.name}: no stage of {model.parent} wrote metrics of {listed(missing)}"
        )
    return found


def _mappings(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the mappings in a value with their places, the outer ones first."""
    if isinstance(value, dict):
        yield place, value
        for key, inner in value.items():
            yield from _mappings(inner, (*place, key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _mappings(inner, (*place, str(number)))
