"""The runs of a learning curve, the power law through them, and what it says in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from retune.core.errors import RetuneError
from retune.stats.power_law import Curve, Forecast, Run, fit
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tools.compare.clustering import By, clusters_of
from retune.tools.compare.sources import scores_of
from retune.tools.curve.plan import Plan
from retune.tools.experiments.listing import Ref

#: Where a run has its validation scores.
SCORES = Path("data/qa/validation_scores/questions.jsonl")
#: Points of F1 that are worth twice the data.
WORTH = 1.0
#: How many times the data the forecasts are for.
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
        """Return the F1 of a training on so many times the questions."""
        return self.curve.score(times * self.questions)

    def gain(self, times: float) -> Forecast:
        """Return how much better it is than one on the questions that there are."""
        return self.curve.gain(self.questions, times * self.questions)

    @property
    def verdict(self) -> Verdict:
        """What the gain by twice the data means.

        The curve is flat if the whole interval is below `WORTH`. More data helps if the whole
        interval is above 0. Otherwise the runs cannot tell.
        """
        gain = self.gain(2)
        if gain.high < WORTH:
            return "the curve is flat"
        return "more data helps" if gain.low > 0 else "within noise"


def read_result(plan: Plan, refs: dict[str, Ref], by: By = "passage") -> Result:
    """Fit the curve to the runs of a plan, and to the last run.

    Raises:
        RetuneError: a run has other validation questions than the last run.
    """
    last = read_question_scores(SCORES)
    runs, measured = [], []
    for _, group in groupby(plan.parts, key=lambda part: part.share):
        parts = [*group]
        names = [plan.experiment(part).name for part in parts]
        scores = [_aligned(name, scores_of(refs[name], SCORES), last) for name in names]
        sizes = [part.questions for part in parts]
        runs += [Run(*pair) for pair in zip(sizes, scores, strict=True)]
        measured.append(Measured(float(np.mean(sizes)), [float(np.mean(x)) for x in scores]))
    whole = _aligned("workspace", last, last)
    runs.append(Run(plan.questions, whole))
    measured.append(Measured(plan.questions, [float(np.mean(whole))]))
    curve = fit(runs, clusters_of(last, by))
    return Result(measured, curve, len(last), plan.questions)


def _aligned(
    name: str, scores: Sequence[QuestionScore], order: Sequence[QuestionScore]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return F1 in percent, in the order of other scores of the same questions."""
    by_id = {score.id: score for score in scores}
    if {(s.id, s.passage) for s in scores} != {(s.id, s.passage) for s in order}:
        raise RetuneError(
            f"{name} was scored on other validation questions than the last run; give --replace "
            "to run the curve again"
        )
    return np.array([100.0 * by_id[score.id].f1 for score in order])
