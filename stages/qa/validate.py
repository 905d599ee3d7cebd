"""Score the validation questions, which chose the epoch."""

from functools import partial
from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.validate.validate import validate


def main(
    raw: In, features: In, model: In, metrics: Report, questions: Out,
    n_best: Out | None = None, *,
    variant: Annotated[str, "qa.model"],
    prediction: Annotated[PredictParams, "qa.predict"],
    reading: Annotated[PostprocessParams, "qa.postprocess"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    r"""Answer the validation questions of RAW by MODEL; write METRICS and QUESTIONS.

    The folder of --n-best gets the n-best lists, which the stage calibrate needs.

    Example: python -m stages.qa.validate data/qa/raw data/qa/features data/qa/model \
        metrics/qa_validation.json data/qa/validation_scores
    """
    return validate(raw, features, partial(load, variant, model), metrics, questions,
                    n_best, prediction=prediction, reading=reading, scoring=scoring,
                    squad_v2=squad_v2, share=Share.of_launch())  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
