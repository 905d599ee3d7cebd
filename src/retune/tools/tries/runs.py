"""Runs of one setting with each seed, and what they scored."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles
from retune.tasks.qa.score.question_scores import QuestionScore
from retune.tools.claims.looks import DIGITS
from retune.tools.compare.sources import SCORES, VALIDATION_SCORES, scores_of
from retune.tools.experiments.effects import require_effects
from retune.tools.experiments.experiments import Experiment, HydraValue
from retune.tools.experiments.grid import seeded
from retune.tools.experiments.listing import Ref, experiments
from retune.tools.experiments.sweep import cost_note, sweep
from retune.tools.project import locks
from retune.tools.project.commands import git
from retune.tools.tries.ledger import digest
from retune.tools.tries.looks import RAW


class Split(NamedTuple):
    """How a split is scored: by which stage, on which questions, and where the scores are."""

    stage: str
    questions: str
    scores: Path


SPLITS = {
    "validation": Split("validate", RAW, VALIDATION_SCORES),
    "test": Split("score", "data/qa/test", SCORES),
}


@dataclass(frozen=True)
class Runs:
    """The runs of a setting.

    Attributes:
        scores: of each run, the questions in the same order.
        sums: the first digits of the MD5 of each run's scores.
        folder: the MD5 of the folder with the questions.
    """

    scores: Sequence[Sequence[QuestionScore]]
    sums: Sequence[str]
    folder: str

    @property
    def questions(self) -> str:
        """The digest of the questions and their references, without the answers.

        Raises:
            RetuneError: the runs answered different questions, or none.
        """
        asked = [[(q.id, q.passage, q.question, q.references) for q in run] for run in self.scores]
        if not asked[0]:
            raise RetuneError(
                "there are no validation questions; set qa.download.validation_share, or bring a "
                "validation file"
            )
        digests = {digest(each) for each in asked}
        if len(digests) > 1:
            raise RetuneError("the seeds of one setting answered different questions")
        return digests.pop()

    def percent(self, metric: str) -> Doubles:
        """Return the score of each run and question, shape (R, N), in percent."""
        rows = [[100.0 * float(getattr(q, metric)) for q in run] for run in self.scores]
        return np.array(rows, np.float64)


class Runner(Protocol):
    """Runs settings and reads their scores; tests have another one."""

    def check(self, changes: Mapping[str, str], seeds: Sequence[int], split: str) -> None:
        """Refuse changes that stages refuse, or that have no effect, before anything runs."""
        ...

    def run(self, name: str, changes: Mapping[str, str], seeds: Sequence[int], split: str) -> Runs:
        """Run a setting with each seed, as far as it has not run, and return its runs."""
        ...


class DvcRunner:
    """Runs settings as DVC experiments of the main pipeline, in the current folder."""

    def check(self, changes: Mapping[str, str], seeds: Sequence[int], split: str) -> None:
        """Refuse changes that stages refuse, or that have no effect, before anything runs.

        Raises:
            RetuneError: with every problem.
        """
        require_effects(Path(), _experiments("check", changes, seeds), [SPLITS[split].stage])

    def run(self, name: str, changes: Mapping[str, str], seeds: Sequence[int], split: str) -> Runs:
        """Run a setting with each seed, as far as it has not run, and return its runs.

        Raises:
            RetuneError: a run failed, or its scores cannot be read.
        """
        wanted = _experiments(name, changes, seeds)
        done = _finished()
        missing = [each for each in wanted if each.name not in done]
        if missing:
            if note := cost_note(len(missing)):
                print(note, file=sys.stderr)
            outcomes = sweep(missing, replace=False, stages=[SPLITS[split].stage])
            if failed := [each for each in outcomes if each.failed]:
                logs = "\n".join(f"{each.name}: see {each.log}\n{each.error}" for each in failed)
                raise RetuneError(f"{logs}\ncorrect the cause and give the same command again")
            done = _finished()
        return _read([done[each.name] for each in wanted], SPLITS[split])


def _experiments(name: str, changes: Mapping[str, str], seeds: Sequence[int]) -> list[Experiment]:
    typed = {key: HydraValue(value) for key, value in changes.items()}
    return seeded([Experiment(name, typed, frozenset(changes))], seeds)


def _finished() -> dict[str, Ref]:
    return {ref.name: ref for ref in experiments(all_commits=True) if ref.state is None}


def _read(refs: Sequence[Ref], split: Split) -> Runs:
    stages = [_stage(ref, split.stage) for ref in refs]
    sums = [locks.outs_of(each)[split.scores.parent.as_posix()][:DIGITS] for each in stages]
    folder = locks.sums_of(stages[0])[split.questions]
    return Runs([scores_of(ref, split.scores) for ref in refs], sums, folder)


def _stage(ref: Ref, name: str) -> dict[str, Any]:
    """Return a stage in the lock of a run."""
    lock = locks.parse(git(Path(), "show", f"{ref.commit}:./dvc.lock"))
    stage: dict[str, Any] = lock["stages"][name]
    return stage
