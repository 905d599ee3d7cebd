"""Score the answers: exact match and F1."""

from typing import Annotated

from retune.core.params import Params
from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.tasks.qa.questions.splits import Keep
from retune.tasks.qa.score.epoch_settings import warn_of_other_settings
from retune.tasks.qa.score.score import ScoreParams, score


def main(
    raw: In, predictions: In, metrics: Report, questions: Out, *,
    settings: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
    keep: Annotated[Keep, "qa.train.keep"],
    params: Params,
) -> str:  # fmt: skip
    r"""Compare PREDICTIONS with the reference answers of the test questions in RAW.

    METRICS gets the figures, the folder QUESTIONS the score of each question.

    Example: python -m stages.qa.score data/qa/test data/qa/predictions \
        metrics/qa.json data/qa/scores
    """
    warn_of_other_settings(params.values)
    return score(raw, predictions, metrics, questions, settings, squad_v2=squad_v2, keep=keep)


if __name__ == "__main__":
    run_stage(main)
