"""Say of every validation sentence how probably it is positive."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.sentiment.models import load
from retune.tasks.sentiment.predict.predict import PredictParams, predict


def main(raw: Path, features: Path, model: Path, predictions: Path) -> str:
    r"""Run MODEL over the validation texts of RAW, cut in FEATURES; write the folder PREDICTIONS.

    Example: python -m stages.sentiment.predict --variant bert data/raw data/bert/features \
        data/bert/runs/1234/model data/predictions/bert/1234
    """
    with Params() as params:
        chosen = params.section("sentiment.model", str)
        settings = params.section("sentiment.predict", PredictParams)
    reads = {"raw": raw, "features": features, "model": model}
    with sealed(params.read, reads=reads, writes={"predictions": predictions}):
        return predict(raw, features, load(chosen, model), predictions, settings)


if __name__ == "__main__":
    run_stage(main)
