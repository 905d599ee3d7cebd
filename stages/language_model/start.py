"""Make the model that is trained: from nothing, or of a checkpoint."""

from functools import partial
from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Seed
from retune.core.stage import run_stage
from retune.models.checkpoints import CheckpointParams
from retune.tasks.language_model.init.init import start


def main(features: Path, before: Path) -> str:
    r"""Write the model of `language_model.model` for the tokens of FEATURES to the folder BEFORE.

    Example: python -m stages.language_model.start data/features data/before
    """
    with Params() as params:
        checkpoint = params.section("language_model.checkpoint", CheckpointParams)
        seed = params.section("language_model.seed", Seed)
        chosen, settings = params.variant(
            "language_model.model", "retune.tasks.language_model.models", "language_model.models"
        )
    build = partial(chosen.build, settings, checkpoint)
    with sealed(params.read, reads={"features": features}, writes={"before": before}):
        return start(features, before, build=build, seed=seed)


if __name__ == "__main__":
    run_stage(main)
