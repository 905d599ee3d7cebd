"""The runs of a learning curve, the power law through them, and what it says in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from retune.core.errors import RetuneError
from retune.core.numerics import Doubles
from retune.stats.power_law import Curve, Forecast, Run, fit
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tools.compare.clustering import By, clusters_of
from retune.tools.compare.sources import VALIDATION_SCORES, scores_of
from retune.tools.curve.plan import Plan
from retune.tools.experiments.listing import Ref, recorded_splits

#: Points of F1 that twice the data must be able to bring, or the curve is flat.
WORTH = 1.0
#: The forecasts are for so many times the data.
TIMES = (1, 2, 4)

Verdict = Literal["more data helps", "the curve is flat", "within noise"]


@dataclass(frozen=True)
class Measured:
    """The runs of a curve with about one share of the questions.

    Attributes:
        questions: mean over the runs.
        scores: F1 in percent of each run.
    """

    questions: float
    scores: Sequence[float]

    @property
    def f1(self) -> float:
        """The mean F1."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Result:
    """A learning curve.

    Attributes:
        measured: the smallest share first; the last run is the last one.
        curve: fitted to all runs.
        validation: how many questions were scored.
        questions: training questions of the last run.
    """

    measured: Sequence[Measured]
    curve: Curve
    validation: int
    questions: int

    def score(self, times: float) -> Forecast:
        """Return the F1 of a training on `times` as many questions."""
        return self.curve.score(times * self.questions)

    def gain(self, times: float) -> Forecast:
        """Return by how much it exceeds the F1 of a training on the questions that there are."""
        return self.curve.gain(self.questions, times * self.questions)

    @property
    def verdict(self) -> Verdict:
        """What the gain by twice the data means.

        The curve is flat if the whole interval is below `WORTH`, even if it is above 0. More data
        helps if the whole interval is above 0. Otherwise the gain is within noise.
        """
        gain = self.gain(2)
        if gain.high < WORTH:
            return "the curve is flat"
        return "more data helps" if gain.low > 0 else "within noise"


def read_result(plan: Plan, refs: dict[str, Ref], by: By = "passage") -> Result:
    """Fit the curve to the runs of a plan, and to the last run.

    Raises:
        RetuneError: a run has other questions than planned, because the data changed.
    """
    last = read_question_scores(VALIDATION_SCORES)
    runs, measured = [], []
    for _, group in groupby(plan.parts, key=lambda part: part.share):
        parts = [*group]
        run_refs = [refs[plan.experiment(part).name] for part in parts]
        for ref, part in zip(run_refs, parts, strict=True):
            _require_size(ref, part.questions)
        scores = [_aligned(ref.name, scores_of(ref, VALIDATION_SCORES), last) for ref in run_refs]
        sizes = [part.questions for part in parts]
        runs += [Run(*pair) for pair in zip(sizes, scores, strict=True)]
        measured.append(Measured(float(np.mean(sizes)), [float(np.mean(x)) for x in scores]))
    whole = _percent(last)
    runs.append(Run(plan.questions, whole))
    measured.append(Measured(plan.questions, [float(np.mean(whole))]))
    curve = fit(runs, clusters_of(last, by))
    return Result(measured, curve, len(last), plan.questions)


def _require_size(ref: Ref, questions: int) -> None:
    """Refuse a run that trained on another number of questions than planned."""
    trained = [split for split in recorded_splits(ref) if split["split"] == "train"]
    if [split["questions"] for split in trained] != [questions]:
        raise RetuneError(
            f"{ref.name} was trained on {trained[0]['questions']:,} questions instead of "
            f"{questions:,}, because the data changed; run `dvc repro` and `retune curve` again"
        )


def _aligned(name: str, scores: Sequence[QuestionScore], order: Sequence[QuestionScore]) -> Doubles:
    """Return F1 in percent, in the order of other scores of the same questions."""
    if {(s.id, s.passage) for s in scores} != {(s.id, s.passage) for s in order}:
        raise RetuneError(
            f"{name} was scored on other validation questions than the last run, because the data "
            "changed; run `dvc repro` and `retune curve` again"
        )
    by_id = {score.id: score for score in scores}
    return _percent([by_id[score.id] for score in order])


def _percent(scores: Sequence[QuestionScore]) -> Doubles:
    return np.array([100.0 * score.f1 for score in scores])
