"""Compare both states of the model, and all methods of continuing a text."""

from pathlib import Path
from typing import Annotated, Any

from retune.core.signature import Check, In, Inputs, Report
from retune.core.stage import run_stage
from retune.tasks.language_model.compare.compare import (
    compare,
    method_folders,
    require_generate_only,
    state_folders,
)
from retune.tasks.language_model.score.score import ScoreParams


def main(
    features: In,
    likelihoods: Annotated[Path, Inputs(state_folders)],
    generated: Annotated[Path, Inputs(method_folders, "variants")],
    table: Report, csv: Report, *,
    settings: Annotated[ScoreParams, "language_model.score"],
    variants: Annotated[dict[str, dict[str, Any]], "variants", Check(require_generate_only)],
) -> str:  # fmt: skip
    r"""Compare before and after, and all variants of the params; write TABLE (JSON) and CSV.

    LIKELIHOODS has a folder for each state, GENERATED one for each state and variant.

    Example: python -m stages.language_model.compare data/features data/likelihoods \
        data/generated compare.json compare.csv
    """
    return compare(features, likelihoods, generated, table, csv, methods=list(variants),
                   params=settings)  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
