"""Put both states of the model, and all methods of continuing, beside each other."""

from pathlib import Path
from typing import Any

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.language_model.compare.compare import (
    compare,
    require_generate_only,
    state_folders,
)
from retune.tasks.language_model.score.score import ScoreParams


def main(features: Path, likelihoods: Path, generated: Path, table: Path, csv: Path) -> str:
    r"""Compare before and after, and all variants of the params; write TABLE (JSON) and CSV.

    LIKELIHOODS has a folder for each state, GENERATED one for each state and variant.

    Example: python -m stages.language_model.compare data/features data/likelihoods \
        data/generated compare.json compare.csv
    """
    with Params() as params:
        settings = params.section("language_model.score", ScoreParams)
        variants = params.section("variants", dict[str, dict[str, Any]])
        require_generate_only(variants)
    reads = {"features": features, **state_folders(likelihoods, generated, list(variants))}
    with sealed(params.read, reads=reads, writes={}, reports=[table, csv]):
        return compare(features, likelihoods, generated, table, csv, methods=list(variants),
                       params=settings)  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
