"""Make the model that is trained: from nothing, or of a checkpoint."""

from functools import partial
from pathlib import Path

from retune.checkpoints import CheckpointParams
from retune.language_model.start import start
from retune.lineage import sealed
from retune.params import Params, Seed
from retune.stage import run_stage


def main(features: Path, before: Path) -> str:
    r"""Write the model of `language_model.model` for the tokens of FEATURES to the folder BEFORE.

    Example: python ../../stages language_model.start data/features data/before
    """
    with Params() as params:
        checkpoint = params.section("language_model.checkpoint", CheckpointParams)
        seed = params.section("language_model.seed", Seed)
        chosen, settings = params.variant(
            "language_model.model", "retune.language_model.models", "language_model.models"
        )
    build = partial(chosen.build, settings, checkpoint)
    with sealed(params.read, reads={"features": features}, writes={"before": before}):
        return start(features, before, build=build, seed=seed)


if __name__ == "__main__":
    run_stage(main)
