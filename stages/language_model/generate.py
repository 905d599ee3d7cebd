"""Continue the first sentence of each validation text."""

from typing import Annotated

from retune.core.params import Seed
from retune.core.signature import In, Out
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.language_model.generate.generate import write_continuations
from retune.tasks.language_model.generate.generation import GenerationParams
from retune.tasks.language_model.models import load


def main(
    features: In, model: In, generated: Out, *,
    settings: Annotated[GenerationParams, "language_model.generate"],
    seed: Annotated[Seed, "language_model.seed"],
) -> str:  # fmt: skip
    r"""Continue the prompts of FEATURES with MODEL; write the folder GENERATED.

    `language_model.generate` sets the search, and variants change it.

    Example: python -m stages.language_model.generate --variant greedy data/features \
        data/after data/generated/after/greedy
    """
    return write_continuations(features, load(model), generated, settings, seed, Share.of_launch())


if __name__ == "__main__":
    run_launched(main)
