"""Turn logits into answers."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, postprocess


def main(raw: Path, features: Path, logits: Path, predictions: Path) -> str:
    r"""Read the best answers off LOGITS; write the folder PREDICTIONS.

    Example: python -m stages.qa.postprocess \
        data/qa/raw data/qa/features data/qa/logits data/qa/predictions
    """
    with Params() as params:
        settings = params.section("qa.postprocess", PostprocessParams)
        squad_v2 = params.section("qa.squad_v2", bool)
    reads = {"raw": raw, "features": features, "logits": logits}
    with sealed(params.read, reads=reads, writes={"predictions": predictions}):
        return postprocess(raw, features, logits, predictions, settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
