"""Score a variant's runs: accuracy, F1, and how far their probabilities can be trusted."""

from pathlib import Path

from retune.lineage import sealed
from retune.params import Params
from retune.sentiment.reading import seed_folders
from retune.sentiment.score import ScoreParams, score
from retune.stage import run_stage


def main(raw: Path, predictions: Path, metrics: Path, confusion: Path, reliability: Path) -> str:
    r"""Score the runs of all seeds in PREDICTIONS against the labels of RAW; write METRICS.

    CONFUSION and RELIABILITY are tables for plots.

    Example: python ../../stages sentiment.score --variant bert data/raw data/predictions/bert \
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
