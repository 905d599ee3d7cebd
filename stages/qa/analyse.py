"""Score groups of test questions, and name the type of each error."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.tasks.qa.analyse.analyse import analyse
from retune.tasks.qa.score.score import ScoreParams


def main(
    raw: In, features: In, predictions: In, metrics: Report, by_group: Report, by_error: Report,
    questions: Out, *,
    settings: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    r"""Show where the answers PREDICTIONS are right and wrong, by groups of questions.

    METRICS gets EM and F1 of groups of questions and counts of errors. BY_GROUP and BY_ERROR get
    the main figures for plots, and the folder QUESTIONS the groups and the error of each question.

    Example: python -m stages.qa.analyse data/qa/test data/qa/test_features data/qa/predictions \
        metrics/qa_analysis.json metrics/qa_groups.csv metrics/qa_errors.csv data/qa/analysis
    """
    return analyse(
        raw, features, predictions, metrics, by_group, by_error, questions, settings,
        squad_v2=squad_v2,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
