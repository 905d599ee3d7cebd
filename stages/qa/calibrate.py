"""Fit confidence on the validation questions."""

from typing import Annotated

from retune.core.signature import In, Out
from retune.core.stage import run_stage
from retune.tasks.qa.confidence.calibrate import CalibrateParams, calibrate
from retune.tasks.qa.postprocess.postprocess import PostprocessParams
from retune.tasks.qa.score.score import ScoreParams


def main(
    validation: In, n_best: In, calibration: Out, *,
    params: Annotated[CalibrateParams, "qa.calibrate"],
    reading: Annotated[PostprocessParams, "qa.postprocess"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    r"""Fit confidence on the validation questions; write the folder CALIBRATION.

    VALIDATION has the scores of their answers and N_BEST the n-best lists.

    Example: python -m stages.qa.calibrate data/qa/validation_scores data/qa/validation_n_best \
        data/qa/calibration
    """
    return calibrate(
        validation, n_best, calibration, params=params, reading=reading, scoring=scoring,
        squad_v2=squad_v2,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
