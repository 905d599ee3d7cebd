"""The project itself, whose draws are trained by a formula: nothing runs and nothing is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.experiments.experiments import DRAW, Experiment
from retune.tools.experiments.grid import python_value
from retune.tools.experiments.listing import Ref
from retune.tools.experiments.sweep import Outcome
from retune.tools.few_shot import command, cost, results
from retune.tools.few_shot.cost import LastRun

ROOT = Path(__file__).resolve().parents[2]
#: A small protocol on the bundled corpus, which has 981, 350 and 373 questions.
SMALL = ("--train", "64", "--validation", "32", "--test", "60", "--draws", "4")
TEST, PASSAGES = 60, 12
CURVE = "step,epoch,exact_match,f1,loss\n8,1.0,20.0,{},3\n16,2.0,20.0,30.0,3\n"


def scores(draw: int, shift: float = 0.0) -> list[QuestionScore]:
    """Scores of a draw; all draws find the same passages hard."""
    hard = np.random.default_rng(0).random(PASSAGES).repeat(TEST // PASSAGES)
    own = np.random.default_rng(draw).normal(0, 0.05, TEST)
    values = np.clip(hard + own + shift, 0, 1).round(3).tolist()
    return [
        QuestionScore(f"t{n}", f"passage {n // 5}", "a", "Who?", ("x",), value > 0.5, value, "x")
        for n, value in enumerate(values)
    ]


class Project:
    """The project; its draws are done as soon as they are asked for, unless they fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran, self.failing = list[Experiment](), ""
        self.refs: dict[str, Ref] = {}
        self.running: list[Ref] = []
        self.last: LastRun | None = LastRun(442_662, 600.0, ())
        self.sizes = {"train": 64, "validation": 32, "test": TEST}
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(command, "sweep", self.sweep)
        monkeypatch.setattr(command, "unfinished", lambda: self.running)
        monkeypatch.setattr(command, "few_shot_runs", lambda: self.refs)
        monkeypatch.setattr(cost, "_last_run", lambda qa: self.last)
        monkeypatch.setattr(results, "scores_of", lambda ref: scores(self.draw(ref)))
        monkeypatch.setattr(results, "file_of", self.file_of)
        monkeypatch.setattr(results, "recorded_splits", self.recorded_splits)

    def sweep(self, experiments: list[Experiment], **options: Any) -> list[Outcome]:
        """Train draws, in the place of DVC."""
        assert options["stages"] == ["score"]
        self.ran += experiments
        failed = {one.name for one in experiments if self.failing and self.failing in one.name}
        done = [one.name for one in experiments if one.name not in failed]
        self.refs |= {name: Ref(name, name, "") for name in done}
        return [Outcome(one.name, one.name in failed, Path("logs/x.log")) for one in experiments]

    def draw(self, ref: Ref) -> int:
        """Return the draw of an experiment."""
        (one,) = {one.changes[DRAW] for one in self.ran if one.name == ref.name}
        return int(one)

    def file_of(self, ref: Ref, path: str) -> str:
        """Return the scores of a draw after each epoch: of odd draws the first one is best."""
        assert path == "metrics/qa_curves/validation.csv"
        return CURVE.format(20.0 + 20 * (self.draw(ref) % 2))

    def recorded_splits(self, ref: Ref) -> list[dict[str, Any]]:
        """Return what the download stage of a draw recorded."""
        return [{"split": name, "questions": count} for name, count in self.sizes.items()]


def settings(experiment: Experiment) -> dict[str, Any]:
    """Return the changes of an experiment as values."""
    return {key: python_value(value) for key, value in experiment.changes.items()}
