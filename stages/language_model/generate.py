"""Continue the first sentence of each validation text."""

from pathlib import Path

from retune.language_model.generate import write_continuations
from retune.language_model.generation import GenerationParams
from retune.language_model.models import load
from retune.lineage import sealed
from retune.params import Params, Seed
from retune.stage import run_stage


def main(features: Path, model: Path, generated: Path) -> str:
    r"""Continue the prompts of FEATURES with MODEL; write the folder GENERATED.

    The search is that of `language_model.generate`, which variants change.

    Example: python ../../stages language_model.generate --variant greedy data/features \
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
