"""Let a trained reader answer the training questions, for another one to learn from."""

from functools import partial
from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.qa.answer.answer import Answering
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.teach.teach import (
    TeacherParams,
    teach,
    verify_teacher,
    write_without_teacher,
)
from retune.tasks.qa.tokenize.tokenize import TokenizeParams


def main(
    raw: In, taught: Out, metrics: Report, *,
    teacher: Annotated[TeacherParams | None, "pretraining.teacher"],
    variant: Annotated[str, "pretraining.teacher_model"],
    lengths: Annotated[TokenizeParams, "qa.tokenize"],
    prediction: Annotated[PredictParams, "qa.predict"],
    reading: Annotated[PostprocessParams, "qa.postprocess"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    """Let the teacher answer the train questions of RAW; write its n-best lists to TAUGHT.

    METRICS says how far its answers agree with the labels. Without a teacher TAUGHT is empty.

    Example: python -m stages.qa.teach data/questions data/taught metrics/teacher.json
    """
    share = Share.of_launch()
    if teacher is None:
        return write_without_teacher(taught, metrics, share)
    model = verify_teacher(teacher)
    how = Answering(load=partial(load, variant, model), model=model, lengths=lengths,
                    prediction=prediction, reading=reading, scoring=scoring, squad_v2=squad_v2,
                    share=share)  # fmt: skip
    return teach(raw, taught, metrics, how)


if __name__ == "__main__":
    run_launched(main)
