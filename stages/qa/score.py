"""Score the answers: exact match and F1."""

from typing import Annotated

from retune.core.params import Params
from retune.core.signature import In, Report
from retune.core.stage import run_stage
from retune.tasks.qa.score.epoch_settings import warn_of_other_settings
from retune.tasks.qa.score.score import ScoreParams, score


def main(
    raw: In, predictions: In, metrics: Report, *,
    settings: Annotated[ScoreParams, "qa.score"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
    params: Params,
) -> str:  # fmt: skip
    """Compare PREDICTIONS with the reference answers of RAW; write METRICS.

    Example: python -m stages.qa.score data/qa/raw data/qa/predictions metrics/qa.json
    """
    warn_of_other_settings(params.values)
    return score(raw, predictions, metrics, settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
