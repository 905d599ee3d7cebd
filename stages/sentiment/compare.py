"""Compare all variants."""

from pathlib import Path
from typing import Annotated, Any

from retune.core.signature import In, Inputs, Report
from retune.core.stage import run_stage
from retune.tasks.sentiment.compare.compare import compare
from retune.tasks.sentiment.score.score import ScoreParams
from retune.tasks.sentiment.texts.predictions import variant_folders


def main(
    raw: In, predictions: Annotated[Path, Inputs(variant_folders, "variants", "seeds")],
    runs: Path, table: Report, csv: Report, *,
    settings: Annotated[ScoreParams, "sentiment.score"],
    seeds: Annotated[list[int], "sentiment.seeds"],
    variants: Annotated[dict[str, dict[str, Any]], "variants"],
) -> str:  # fmt: skip
    r"""Compare all variants of the params; write TABLE (JSON) and CSV, and print them.

    PREDICTIONS has a folder for each variant and seed, and so has RUNS, with costs and times.

    Example: python -m stages.sentiment.compare data/raw data/predictions \
        pipelines/sentiment/metrics/runs metrics/compare.json metrics/compare.csv
    """
    return compare(raw, predictions, runs, table, csv, names=list(variants), seeds=seeds,
                   params=settings)  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
