"""Continue the first sentence of each validation text."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Seed
from retune.core.stage import run_stage
from retune.tasks.language_model.generate.generate import write_continuations
from retune.tasks.language_model.generate.generation import GenerationParams
from retune.tasks.language_model.models import load


def main(features: Path, model: Path, generated: Path) -> str:
    r"""Continue the prompts of FEATURES with MODEL; write the folder GENERATED.

    The search is that of `language_model.generate`, which variants change.

    Example: python -m stages.language_model.generate --variant greedy data/features \
        data/after data/generated/after/greedy
    """
    with Params() as params:
        settings = params.section("language_model.generate", GenerationParams)
        seed = params.section("language_model.seed", Seed)
    reads = {"features": features, "model": model}
    with sealed(params.read, reads=reads, writes={"generated": generated}):
        return write_continuations(features, load(model), generated, settings, seed)


if __name__ == "__main__":
    run_stage(main)
