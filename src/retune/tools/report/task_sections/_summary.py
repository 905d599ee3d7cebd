"""The last run of question answering in short: its score, the other models, its cost."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retune.core.errors import listed
from retune.stats.clusters import Clusters
from retune.stats.paired import Mean, mean_scores
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.claims.looks import told
from retune.tools.compare import saved
from retune.tools.compare.clustering import counted
from retune.tools.compare.systems import DECISIVE, SCORES
from retune.tools.experiments.experiments import MODEL
from retune.tools.project.locks import PARAMS, Lock
from retune.tools.report.content import Column, Remark, Table, shown
from retune.tools.report.results import Metrics, figures_in

_COLUMNS = (Column("what"), Column("answer"))


def summary(
    root: Path,
    found: Sequence[Metrics],
    compared: saved.Saved | None,
    questions: Sequence[QuestionScore],
    looked: int,
) -> list[Table | Remark]:
    """Return the question that the pipeline answers, and its answers in short.

    Args:
        root: the project's top.
        found: the metrics files.
        compared: what `make variants` wrote.
        questions: the scores of the test questions, if they are there.
        looked: how often the test questions were looked at.
    """
    read: dict[str, float] = {}
    for metrics in found:
        for name, value in figures_in(metrics.value).scalars.items():
            read.setdefault(name, value)
    if not all(name in read for name in SCORES):
        return []
    lock = Lock(root, "")
    model = lock.params(PARAMS).get(MODEL, "the model") if lock.there else "the model"
    rows = [
        ("score", _score(questions, read)),
        ("other models", _rivals(model, read, compared)),
        ("cost", ", ".join(_costs(read))),
        ("reproducible", _changes(lock)),
    ]
    if looked:
        rows.append(("looks", told(looked)))
    question = f"How well does {model} answer test questions by which nothing was chosen?"
    return [Remark(question), Table("The last run", _COLUMNS, tuple(r for r in rows if r[1]))]


def _score(questions: Sequence[QuestionScore], read: Mapping[str, float]) -> str:
    means = _means(questions, read)
    if not means:
        return ", ".join(f"{label} {read[name]:.2f}" for name, label in SCORES.items())
    clusters = counted(len({question.passage for question in questions}), "passage")
    texts = [f"{label} {_with_interval(means[name])}" for name, label in SCORES.items()]
    return (
        f"{', '.join(texts)}; 95 % intervals by the bootstrap over passages. Drawn: "
        f"{len(questions):,} questions in {clusters}."
    )


def _with_interval(mean: Mean) -> str:
    ends = "" if mean.low is None else f" ({mean.low:.1f} to {mean.high:.1f})"
    return f"{mean.value:.2f}{ends}"


def _means(questions: Sequence[QuestionScore], read: Mapping[str, float]) -> dict[str, Mean]:
    """Return the scores with intervals; nothing if the questions are of another run."""
    if not questions:
        return {}
    clusters = Clusters.named([question.passage for question in questions])
    values = {
        name: 100.0 * np.array([float(getattr(question, name)) for question in questions])
        for name in SCORES
    }
    means = mean_scores(values, clusters)
    same = all(math.isclose(means[name].value, read[name]) for name in SCORES)
    return means if same else {}


def _rivals(model: str, read: Mapping[str, float], compared: saved.Saved | None) -> str:
    """Say how the model compares with the others, if `make variants` has the last run."""
    if compared is None or not any(
        system["name"] == model and is_among(system["runs"], read) for system in compared["systems"]
    ):
        return ""
    verdicts: dict[str, list[str]] = {}
    for pair in saved.pairs(compared):
        if model in (pair.one, pair.other):
            other = pair.other if pair.one == model else pair.one
            verdict = pair.verdict
            if verdict != "not separable":
                verdict = "better" if (pair.value > 0) == (pair.one == model) else "worse"
            verdicts.setdefault(verdict, []).append(other)
    words = {"better": "better than", "worse": "worse than", "not separable": "not separable from"}
    parts = [f"{words[each]} {', '.join(names)}" for each, names in verdicts.items()]
    return f"{'; '.join(parts)} (by {SCORES[DECISIVE]}, paired by question, p adjusted)"


def is_among(runs: Iterable[Mapping[str, Any]], read: Mapping[str, float]) -> bool:
    """Return whether one of the runs has these scores."""
    scores = {name: read[name] for name in SCORES if name in read}
    return any(all(run[name] == score for name, score in scores.items()) for run in runs)


def _costs(read: Mapping[str, float]) -> Iterator[str]:
    if "parameters" in read:
        yield f"{read['parameters'] / 1e6:,.1f} million parameters"
    if "model_bytes" in read:
        yield f"{shown(read['model_bytes'], 'bytes')} stored"
    if "train_seconds" in read:
        yield f"{read['train_seconds'] / 60:,.1f} minutes of training"
    if "train_windows_per_second" in read:
        yield f"{read['train_windows_per_second']:,.1f} windows a second"


def _changes(lock: Lock) -> str:
    """Say whether code, settings and figures are those of the last run."""
    if not lock.there:
        return ""
    changed = lock.changed()
    if changed:
        return f"not now: {listed(changed)} changed since the run; `dvc repro` runs it again"
    return (
        "code, settings and figures have not changed since the run; `retune verify` runs it again "
        "and compares"
    )
