"""Measure confidence on the test questions."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.core.stage import run_stage
from retune.tasks.qa.confidence.confidence import ConfidenceParams, confidence
from retune.tasks.qa.score.score import ScoreParams


def main(
    test: In, predictions: In, calibration: In, metrics: Report, reliability: Report,
    coverage: Report, confidences: Out, *,
    params: Annotated[ConfidenceParams, "qa.confidence"],
    scoring: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
) -> str:  # fmt: skip
    r"""Measure how well the confidence of CALIBRATION holds on test; write METRICS.

    RELIABILITY and COVERAGE get curves for plots, and the folder CONFIDENCES the confidence of each
    answer.

    Example: python -m stages.qa.confidence data/qa/test data/qa/predictions \
        data/qa/calibration metrics/qa_confidence.json metrics/qa_reliability.csv \
        metrics/qa_risk_coverage.csv data/qa/confidences
    """
    return confidence(
        test, predictions, calibration, metrics, reliability, coverage, confidences,
        params=params, scoring=scoring, squad_v2=squad_v2,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
