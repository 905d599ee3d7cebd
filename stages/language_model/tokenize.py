"""Cut texts into blocks of token ids."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.models.checkpoints import CheckpointParams
from retune.tasks.language_model.tokenize.tokenize import TokenizeParams, tokenize


def main(raw: Path, features: Path, metrics: Path) -> str:
    r"""Cut the texts of RAW into blocks, and the validation texts into pairs of sentences, too.

    They go to the folder FEATURES with their tokenizer, what was left over is told in METRICS.

    Example: python -m stages.language_model.tokenize data/raw data/features \
        metrics/blocks.json
    """
    with Params() as params:
        checkpoint = params.section("language_model.checkpoint", CheckpointParams)
        settings = params.section("language_model.tokenize", TokenizeParams)
    writes = {"features": features}
    with sealed(params.read, reads={"raw": raw}, writes=writes, reports=[metrics]):
        return tokenize(raw, features, metrics, params=settings, checkpoint=checkpoint)


if __name__ == "__main__":
    run_stage(main)
