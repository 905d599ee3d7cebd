"""Let a trained reader answer the training questions, for another one to learn from."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.predict.predict import PredictParams
from retune.tasks.qa.score.score import ScoreParams
from retune.tasks.qa.teach.teach import TeacherParams, teach
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
    return teach(raw, taught, metrics, teacher, variant=variant, lengths=lengths,
                 prediction=prediction, reading=reading, scoring=scoring, squad_v2=squad_v2,
                 share=Share.of_launch())  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
