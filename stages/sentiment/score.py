"""Score a variant's runs: accuracy, F1, and the calibration of their probabilities."""

from pathlib import Path
from typing import Annotated

from retune.core.signature import In, Inputs, Report
from retune.core.stage import run_stage
from retune.tasks.sentiment.score.score import ScoreParams, score
from retune.tasks.sentiment.texts.predictions import seed_folders


def main(
    raw: In, predictions: Annotated[Path, Inputs(seed_folders, "seeds")], metrics: Report,
    confusion: Report, reliability: Report, *,
    settings: Annotated[ScoreParams, "sentiment.score"],
    seeds: Annotated[list[int], "sentiment.seeds"],
) -> str:  # fmt: skip
    r"""Score the runs of all seeds in PREDICTIONS against the labels of RAW; write METRICS.

    CONFUSION and RELIABILITY are tables for plots.

    Example: python -m stages.sentiment.score --variant bert data/raw data/predictions/bert \
        metrics/scores.json metrics/confusion.csv metrics/reliability.csv
    """
    return score(raw, predictions, metrics, confusion, reliability, seeds=seeds, params=settings)


if __name__ == "__main__":
    run_stage(main)
