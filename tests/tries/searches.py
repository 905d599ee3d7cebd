"""A git repository in which a search can run, and a runner that trains nothing."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from compare.scored_runs import GIT

from retune.core.errors import RetuneError
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.project.commands import git
from retune.tools.tries.looks import Scored
from retune.tools.tries.runs import Runs
from retune.tools.tries.search import Search

PASSAGES, QUESTIONS = 30, 6
BETTER = ["qa.train.lr=3e-4"]


def project(folder: Path) -> Path:
    """Make a repository with params and code."""
    (folder / "src").mkdir()
    (folder / "src" / "code.py").write_text("a = 1\n", encoding="utf-8")
    (folder / "params.yaml").write_text("qa: {seed: 1, train: {lr: 1e-4}}\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        git(folder, *GIT[1:], *words)
    return folder


class FakeRunner:
    """Answers with noise that depends on the setting and the seed; `lr=3e-4` is better.

    Attributes:
        runs: names and splits, as they were asked for.
        failing: a name that fails at its first run.
        refused: whether `check` refuses everything.
        passages: how many there are.
        other: a name that answers other questions.
        exchanged: a name whose answers are exchanged.
        equal: a split on which all settings answer equally.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.failing = self.other = self.exchanged = self.equal = "none"
        self.refused = False
        self.passages = PASSAGES

    def check(self, changes: Mapping[str, str], seeds: Sequence[int], split: str) -> None:
        if self.refused:
            raise RetuneError("qa.train.lr: refused")

    def run(self, name: str, changes: Mapping[str, str], seeds: Sequence[int], split: str) -> Runs:
        self.runs.append((name, split))
        if name.startswith(self.failing):
            self.failing = "none"
            raise RetuneError(f"{name}-seed=1: see logs")
        better = changes.get("qa.train.lr") == "3e-4" and split != self.equal
        skill = 0.9 if better else 0.5
        prefix = "other" if name.startswith(self.other) else "q"
        salt = "x" if name.startswith(self.exchanged) else ""
        key = f"{sorted(changes.items())}{salt}" if split != self.equal else ""
        scores = [self._run(f"{key}{seed}", skill, prefix) for seed in seeds]
        return Runs(scores, [f"{name}-{seed}" for seed in seeds], split)

    def _run(self, key: str, skill: float, prefix: str) -> list[QuestionScore]:
        generator = np.random.default_rng(zlib.crc32(key.encode()))
        right = generator.random((self.passages, QUESTIONS)) < skill
        return [
            QuestionScore(
                f"{prefix}{p}.{q}", f"passage {p}", "title", "What?", ("yes",),
                bool(right[p, q]), float(right[p, q]), "yes" if right[p, q] else "no",
            )
            for p in range(self.passages)
            for q in range(QUESTIONS)
        ]  # fmt: skip


def search(folder: Path, runner: FakeRunner, looks: Scored | None = None) -> Search:
    """Open the searches of a project, as each command does."""
    return Search(folder, runner, lambda: looks or set())


def begun(folder: Path, runner: FakeRunner, tries: int = 5) -> Path:
    """Begin a search in a new project."""
    search(project(folder), runner).begin(tries, "1,2,3", "f1")
    return folder
