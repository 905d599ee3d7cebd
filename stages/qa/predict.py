"""Compute the start and end logits of every evaluation window."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.qa.predict.predict import PredictParams, predict
from retune.tasks.qa.predict.reader import load


def main(features: Path, model: Path, logits: Path) -> str:
    """Run MODEL over the validation windows of FEATURES; write the folder LOGITS.

    Example: python -m stages.qa.predict data/qa/features data/qa/model data/qa/logits
    """
    with Params() as params:
        variant = params.section("qa.model", str)
        settings = params.section("qa.predict", PredictParams)
    with sealed(
        params.read, reads={"features": features, "model": model}, writes={"logits": logits}
    ):
        return predict(features, load(variant, model), logits, settings)


if __name__ == "__main__":
    run_stage(main)
