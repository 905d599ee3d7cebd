"""Score the answers: exact match and F1."""

import sys
from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.qa.score.epoch_settings import epoch_warning
from retune.tasks.qa.score.score import ScoreParams, score


def main(raw: Path, predictions: Path, metrics: Path) -> str:
    """Compare PREDICTIONS with the reference answers of RAW; write METRICS.

    Example: python -m stages.qa.score data/qa/raw data/qa/predictions metrics/qa.json
    """
    with Params() as params:
        settings = params.section("qa.score", ScoreParams)
        squad_v2 = params.section("qa.squad_v2", bool)
    if warning := epoch_warning(params.values):
        print(warning, file=sys.stderr)
    reads = {"raw": raw, "predictions": predictions}
    with sealed(params.read, reads=reads, writes={}, reports=[metrics]):
        return score(raw, predictions, metrics, settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
