"""Answers with their log-odds and scores, as both stages read them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from retune.core.errors import RetuneError
from retune.core.files import read_json_lines
from retune.core.numerics import Doubles
from retune.stats.calibration import Bools
from retune.stats.clusters import Clusters
from retune.tasks.qa.confidence.log_odds import log_odds
from retune.tasks.qa.postprocess.postprocess import N_BEST
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.questions.splits import SCORED
from retune.tasks.qa.score.question_scores import (
    QuestionScore,
    read_question_scores,
)
from retune.tasks.qa.score.score import QUESTIONS, ScoreParams, score_predictions


@dataclass(frozen=True)
class ScoredAnswers:
    """The answers to N questions.

    Attributes:
        scores: of the answers.
        lines: of nbest.jsonl, in the same order.
    """

    scores: list[QuestionScore]
    lines: list[dict[str, Any]]

    @cached_property
    def log_odds(self) -> Doubles:
        """The log-odds of each answer, shape (N,)."""
        pairs = zip(self.lines, self.scores, strict=True)
        return np.array([log_odds(line, score.answer) for line, score in pairs], np.float64)

    @cached_property
    def right(self) -> Bools:
        """Whether each answer equals a gold answer, shape (N,)."""
        return np.array([score.exact_match for score in self.scores], np.bool_)

    @cached_property
    def passages(self) -> Clusters:
        """The passage of each question."""
        return Clusters.named([score.passage for score in self.scores])


def read_scored_answers(scores: Path, n_best: Path) -> ScoredAnswers:
    """Read the scores in one folder and the n-best lists in another.

    Raises:
        RetuneError: they are of different questions.
    """
    return _matched(read_question_scores(scores / QUESTIONS), scores, n_best)


def score_test_answers(
    test: Path, predictions: Path, scoring: ScoreParams, *, squad_v2: bool
) -> ScoredAnswers:
    """Score the test answers.

    Raises:
        RetuneError: questions and answers do not belong together.
    """
    examples = [*read_examples(test / f"{SCORED}.jsonl")]
    _, scores = score_predictions(examples, predictions, scoring, squad_v2=squad_v2)
    return _matched(scores, test, predictions)


def _matched(scores: list[QuestionScore], place: Path, n_best: Path) -> ScoredAnswers:
    found = ScoredAnswers(scores, [*read_json_lines(n_best / N_BEST)])
    if [score.id for score in found.scores] != [line["id"] for line in found.lines]:
        raise RetuneError(
            f"{place} and {n_best} are of different questions; run `dvc repro`, which makes both "
            "from one run"
        )
    return found
