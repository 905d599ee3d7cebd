"""Scores of the test and of the validation questions, and how far apart they are.

The epoch is chosen by the validation score, so that score is optimistic. The test score is not.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retune.core.errors import RetuneError
from retune.stats.clusters import Clusters
from retune.stats.unpaired import Sample, difference_of_means
from retune.tasks.qa.score.question_scores import QuestionScore, read_question_scores
from retune.tools.compare.sources import SCORES, VALIDATION_SCORES
from retune.tools.report.content import Block, Column, Remark, Table

TEST, VALIDATION = SCORES.as_posix(), VALIDATION_SCORES.as_posix()
_COLUMNS = (
    *(Column("split"), Column("used for"), Column("questions", "count")),
    *(Column("EM", "score"), Column("F1", "score")),
)


def optimism(root: Path, f1: float | None) -> list[Block]:
    """Return the scores of both splits, and their difference with its interval.

    `f1` is the test score in the metrics.

    Raises:
        RetuneError: the scores of the questions are of another run.
    """
    if not all((root / path).is_file() for path in (TEST, VALIDATION)):
        return absent()
    test, validation = (read_question_scores(root / path) for path in (TEST, VALIDATION))
    if not math.isclose(_percent([q.f1 for q in test]), f1 if f1 is not None else math.nan):
        raise RetuneError(
            f"{TEST}: of another run than the scores in the metrics; `dvc repro` makes both from "
            "one run"
        )
    if not validation:
        remark = Remark("There is no validation split: the last epoch was kept, without a choice.")
        return [_table([("test", "the score", test)]), remark]
    rows = [("test", "the score", test), ("validation", "choosing the epoch", validation)]
    return [_table(rows), Remark(_difference(validation, test))]


def absent() -> list[Block]:
    """Say that there are no scores of both splits."""
    text = (
        f"The difference between validation and test scores needs {TEST} and {VALIDATION}, "
        "which are missing or not of the last run: `dvc repro` creates them."
    )
    return [Remark(text, "missing")]


def _table(rows: Sequence[tuple[str, str, Sequence[QuestionScore]]]) -> Table:
    cells = tuple(
        (name, use, len(questions), _percent([q.exact_match for q in questions]),
         _percent([q.f1 for q in questions]))
        for name, use, questions in rows
    )  # fmt: skip
    return Table("Scores by split", _COLUMNS, cells)


def _percent(values: Sequence[float]) -> float:
    return 100.0 * math.fsum(values) / len(values)


def _difference(validation: Sequence[QuestionScore], test: Sequence[QuestionScore]) -> str:
    """Describe the optimism in F1."""
    found = difference_of_means(_sample(validation), _sample(test))
    text = f"Optimism: the validation F1 is {found.value:+.2f} points from the test F1"
    if found.low is None or found.high is None:
        return f"{text}. There is no interval, because one of the splits has a single passage."
    return (
        f"{text} (95 % interval {found.low:+.2f} to {found.high:+.2f}, bootstrap over the passages "
        "of each split). The splits have different questions, so the difference is also one of "
        "difficulty."
    )


def _sample(questions: Sequence[QuestionScore]) -> Sample:
    scores = 100.0 * np.array([question.f1 for question in questions])
    return Sample(scores, Clusters.named([question.passage for question in questions]))
