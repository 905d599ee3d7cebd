"""A project whose last run has known figures, and experiments that follow a known curve."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare.scored_runs import GIT

from retune.core.files import write_json
from retune.tasks.qa.questions.examples import Answer, Example, write_examples
from retune.tasks.qa.score.question_scores import QuestionScore, write_question_scores
from retune.tools.compare.sources import VALIDATION_SCORES as SCORES
from retune.tools.curve import command, forecast
from retune.tools.experiments.experiments import Experiment
from retune.tools.experiments.listing import Ref
from retune.tools.experiments.sweep import Outcome

#: Training articles, questions of each, and validation passages of five questions.
ARTICLES, EACH, PASSAGES = 40, 10, 30

PARAMS: dict[str, Any] = {
    "model": "bert",
    "seed": 42,
    "download": {"train_limit": None, "train_share": None, "train_draw": 1},
}


def scores(right: float, seed: int) -> list[QuestionScore]:
    """Scores of a run with an F1 of about `right`."""
    generator = np.random.default_rng(seed)
    hard = np.random.default_rng(0).random(5 * PASSAGES) + generator.normal(0, 0.02, 5 * PASSAGES)
    values = (hard.argsort().argsort() < right / 100 * 5 * PASSAGES).astype(float)
    return [
        QuestionScore(f"v{n}", f"passage {n // 5}", "a", "Who?", ("x",), bool(value), value, "x")
        for n, value in enumerate(values.tolist())
    ]


class Project:
    """A project in the current folder; its experiments are trained by a formula."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, f1: Any) -> None:
        self.f1, self.ran, self.failing = f1, list[Experiment](), ""
        self.refs: dict[str, Ref] = {}
        self.write_last_run()
        subprocess.run([*GIT, "init", "-q"], check=True)
        self.commit("dvc.yaml", "stages: {}")
        monkeypatch.setattr(command, "sweep", self.sweep)
        monkeypatch.setattr(command, "unfinished", list)
        monkeypatch.setattr(command, "curve_runs", lambda: self.refs)
        monkeypatch.setattr(forecast, "scores_of", self.scores_of)
        monkeypatch.setattr(forecast, "recorded_splits", self.recorded_splits)

    def commit(self, name: str, text: str) -> None:
        """Write and commit a file."""
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        subprocess.run([*GIT, "add", name], check=True)
        subprocess.run([*GIT, "commit", "-qm", name], check=True)

    def write_last_run(self, **params: Any) -> None:
        """Write what the last run on all training questions leaves."""
        qa = PARAMS | params
        Path("params.yaml").write_text(json.dumps({"qa": qa}), encoding="utf-8")
        names = ("model", "seed", "download")
        read = {"params.yaml": {f"qa.{name}": qa[name] for name in names}}
        lock = {"schema": "2.0", "stages": {"train": {"cmd": "true", "params": read}}}
        Path("dvc.lock").write_text(json.dumps(lock), encoding="utf-8")
        write_examples(
            Path("data/qa/raw/train.jsonl"),
            (
                Example(f"{a}q{n}", f"article {a}", f"passage {a} {n}", "Who?", (Answer("p", 0),))
                for a in range(ARTICLES)
                for n in range(EACH)
            ),
        )
        self.size = ARTICLES * EACH
        entries = [{"split": "train", "questions": self.size},
                   {"split": "validation", "questions": 5 * PASSAGES}]  # fmt: skip
        self.metrics("qa_download", download=entries)
        self.metrics("qa_windows", windows=[{"split": "train", "windows": 2 * self.size}])
        self.metrics("qa_times", details=[{"train_seconds": 300.0}])
        write_question_scores(SCORES, scores(self.f1(self.size), 42))

    def metrics(self, name: str, **value: Any) -> None:
        """Write a metrics file."""
        write_json(Path("metrics") / f"{name}.json", {"qa": value})

    def sweep(self, experiments: list[Experiment], **options: Any) -> list[Outcome]:
        """Train experiments, in the place of DVC."""
        assert options["stages"] == ["validate"]
        self.ran += experiments
        failed = {one.name for one in experiments if self.failing and self.failing in one.name}
        self.refs |= {one.name: Ref(one.name, one.name, "") for one in experiments
                      if one.name not in failed}  # fmt: skip
        return [Outcome(one.name, one.name in failed, Path("logs/x.log")) for one in experiments]

    def scores_of(self, ref: Ref, path: Path) -> list[QuestionScore]:
        """Return the scores of an experiment."""
        assert path == SCORES
        share, seed = self.part(ref)
        return scores(self.f1(share * self.size), seed)

    def recorded_splits(self, ref: Ref) -> list[dict[str, Any]]:
        """Return what the download stage of an experiment recorded."""
        return [{"split": "train", "questions": round(self.part(ref)[0] * self.size)}]

    def part(self, ref: Ref) -> tuple[float, int]:
        """Return the share and the draw of an experiment."""
        one = next(one for one in self.ran if one.name == ref.name)
        share, draw = (one.changes[f"qa.download.train_{name}"] for name in ("share", "draw"))
        return share, draw
