"""Compute the probability that each validation sentence is positive."""

from typing import Annotated

from retune.core.signature import In, Out
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.sentiment.models import load
from retune.tasks.sentiment.predict.predict import PredictParams, predict


def main(
    raw: In, features: In, model: In, predictions: Out, *,
    variant: Annotated[str, "sentiment.model"],
    settings: Annotated[PredictParams, "sentiment.predict"],
) -> str:  # fmt: skip
    r"""Run MODEL over the validation texts of RAW, cut in FEATURES; write the folder PREDICTIONS.

    Example: python -m stages.sentiment.predict --variant bert data/raw data/bert/features \
        data/bert/runs/1234/model data/predictions/bert/1234
    """
    return predict(raw, features, load(variant, model), predictions, settings, Share.of_launch())


if __name__ == "__main__":
    run_launched(main)
