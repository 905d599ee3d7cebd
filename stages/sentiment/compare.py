"""Put all variants beside each other."""

from pathlib import Path
from typing import Any

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.sentiment.compare.compare import compare
from retune.tasks.sentiment.score.score import ScoreParams
from retune.tasks.sentiment.texts.outputs import seed_folders


def main(raw: Path, predictions: Path, runs: Path, table: Path, csv: Path) -> str:
    r"""Compare all variants of the params; write TABLE (JSON) and CSV, and print them.

    PREDICTIONS has a folder for each variant and seed, and so has RUNS, with costs and times.

    Example: python -m stages.sentiment.compare data/raw data/predictions \
        pipelines/sentiment/metrics/runs metrics/compare.json metrics/compare.csv
    """
    with Params() as params:
        settings = params.section("sentiment.score", ScoreParams)
        seeds = params.section("sentiment.seeds", list[int])
        variants = params.section("variants", dict[str, dict[str, Any]])
    reads = {"raw": raw}
    for name in variants:
        folders = seed_folders(predictions / name, seeds)
        reads |= {f"{name} {seed}": folder for seed, folder in folders.items()}
    # Without params: the models differ, and need not be the one that the file chooses.
    with sealed({}, reads=reads, writes={}, reports=[table, csv]):
        return compare(raw, predictions, runs, table, csv, names=list(variants), seeds=seeds,
                       params=settings)  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
