"""The last run of question answering in short: its score, the other models, its cost."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from retune.core.errors import RetuneError
from retune.stats.clusters import Clusters
from retune.stats.paired import Mean, mean_scores
from retune.tasks.qa.score.question_scores import read_question_scores
from retune.tools.claims.looks import looks, told
from retune.tools.compare import saved
from retune.tools.compare.clustering import counted
from retune.tools.compare.systems import DECISIVE, SCORES
from retune.tools.experiments.experiments import MODEL
from retune.tools.project.locks import PARAMS, Lock
from retune.tools.report.content import Column, Remark, Table, shown
from retune.tools.report.results import Metrics, figures_in
from retune.tools.report.task_sections._optimism import TEST

_COLUMNS = (Column("what"), Column("answer"))


def summary(
    root: Path, found: Sequence[Metrics], compared: saved.Saved | None
) -> list[Table | Remark]:
    """Return the question that the pipeline answers, and its answers in short.

    Args:
        root: the project's top.
        found: the metrics files.
        compared: what `make variants` wrote.
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
        ("score", _score(root, read)),
        ("other models", _rivals(model, read, compared)),
        ("cost", _cost(read)),
        ("verified", _verified(lock)),
    ]
    if times := len(looks(root)):
        rows.append(("looks", told(times)))
    question = (
        f"How well does {model} answer questions about passages that it was not trained on, and by "
        "which nothing was chosen?"
    )
    return [Remark(question), Table("The last run", _COLUMNS, tuple(r for r in rows if r[1]))]


def _score(root: Path, read: Mapping[str, float]) -> str:
    means, drawn = _intervals(root, read)
    texts = []
    for name, label in SCORES.items():
        mean = means.get(name, Mean(read[name], None, None))
        ends = "" if mean.low is None else f" ({mean.low:.1f} to {mean.high:.1f})"
        texts.append(f"{label} {mean.value:.2f}{ends}")
    if not drawn:
        return ", ".join(texts)
    return f"{', '.join(texts)}; 95 % intervals by the bootstrap over passages. {drawn}"


def _intervals(root: Path, read: Mapping[str, float]) -> tuple[dict[str, Mean], str]:
    """Return the scores with intervals, and what was drawn, if the scores are of this run."""
    if not (root / TEST).is_file():
        return {}, ""
    questions = read_question_scores(root / TEST)
    clusters = Clusters.named([question.passage for question in questions])
    values = {
        name: 100.0 * np.array([float(getattr(question, name)) for question in questions])
        for name in SCORES
    }
    means = mean_scores(values, clusters)
    if any(abs(means[name].value - read[name]) > 1e-9 for name in SCORES):
        return {}, ""
    drawn = f"Drawn: {len(questions):,} questions in {counted(len(clusters), 'passage')}."
    return means, drawn


def _rivals(model: str, read: Mapping[str, float], compared: saved.Saved | None) -> str:
    """Say how the model compares with the others of `make variants`."""
    if compared is None or model not in {system["name"] for system in compared["systems"]}:
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


def _cost(read: Mapping[str, float]) -> str:
    return ", ".join(_costs(read))


def _costs(read: Mapping[str, float]) -> Iterator[str]:
    if "parameters" in read:
        yield f"{read['parameters'] / 1e6:,.1f} million weights"
    if "model_bytes" in read:
        yield f"{shown(read['model_bytes'], 'bytes')} stored"
    if "train_seconds" in read:
        yield f"{read['train_seconds'] / 60:,.1f} minutes of training"
    if "train_windows_per_second" in read:
        yield f"{read['train_windows_per_second']:,.1f} windows a second"


def _verified(lock: Lock) -> str:
    if not lock.there:
        return ""
    try:
        changed = lock.changed()
    except RetuneError:
        return ""
    if changed:
        return f"no: {len(changed)} files of code or figures changed since the run; `dvc repro`"
    return (
        "code and figures are those of the recorded run; `retune verify` runs it again and compares"
    )
