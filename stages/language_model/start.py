"""Make the model that is trained: with random or pretrained weights."""

from functools import partial
from typing import Annotated

from retune.core.params import Choice, Chosen, Seed
from retune.core.signature import In, Out
from retune.core.stage import run_stage
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.language_model.init.init import start

MODELS = Choice("language_model.model", "retune.tasks.language_model.models",
                "language_model.models")  # fmt: skip


def main(
    features: In, before: Out, *,
    pretrained: Annotated[PretrainedParams, "language_model.checkpoint"],
    seed: Annotated[Seed, "language_model.seed"],
    model: Annotated[Chosen, MODELS],
) -> str:  # fmt: skip
    """Write the model of `language_model.model` for the tokens of FEATURES to the folder BEFORE.

    Example: python -m stages.language_model.start data/features data/before
    """
    build = partial(model.module.build, model.params, pretrained)
    return start(features, before, build=build, seed=seed)


if __name__ == "__main__":
    run_stage(main)
