"""Score a variant's runs: accuracy, F1, and how far their probabilities can be trusted."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.sentiment.score.score import ScoreParams, score
from retune.tasks.sentiment.texts.outputs import seed_folders


def main(raw: Path, predictions: Path, metrics: Path, confusion: Path, reliability: Path) -> str:
    r"""Score the runs of all seeds in PREDICTIONS against the labels of RAW; write METRICS.

    CONFUSION and RELIABILITY are tables for plots.

    Example: python -m stages.sentiment.score --variant bert data/raw data/predictions/bert \
        metrics/scores.json metrics/confusion.csv metrics/reliability.csv
    """
    with Params() as params:
        settings = params.section("sentiment.score", ScoreParams)
        seeds = params.section("sentiment.seeds", list[int])
    folders = seed_folders(predictions, seeds)
    reads = {"raw": raw, **{f"predictions {s}": folder for s, folder in folders.items()}}
    with sealed(params.read, reads=reads, writes={}, reports=[metrics, confusion, reliability]):
        return score(
            raw, predictions, metrics, confusion, reliability, seeds=seeds, params=settings
        )


if __name__ == "__main__":
    run_stage(main)
