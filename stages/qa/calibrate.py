"""Fit confidence on the validation questions."""

from typing import Annotated

from retune.core.signature import In, Out
from retune.core.stage import run_stage
from retune.tasks.qa.confidence.calibrate import ConfidenceParams, calibrate
from retune.tasks.qa.score.score import ScoreParams


def main(
    validation: In, calibration: Out, *,
    params: Annotated[ConfidenceParams, "qa.confidence"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    """Fit the confidence of answers on those in VALIDATION; write the folder CALIBRATION.

    Example: python -m stages.qa.calibrate data/qa/validation_scores data/qa/calibration
    """
    return calibrate(validation, calibration, params, scoring, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
