"""Train one variant and keep its best epoch."""

from functools import partial
from pathlib import Path

from retune.checkpoints import CheckpointParams, resolve
from retune.launch import run_launched
from retune.params import Params, Seed
from retune.qa.train import TrainParams, train


def main(raw: Path, features: Path, model: Path, curves: Path, costs: Path) -> str:
    r"""Train the variant of `qa.model` on FEATURES; write MODEL, its CURVES and COSTS.

    Example: python -m stages.qa.train \
        data/qa/raw data/qa/features data/qa/model metrics/qa_curves metrics/qa_costs.json
    """
    with Params() as params:
        checkpoint = params.section("qa.checkpoint", CheckpointParams)
        training = params.section("qa.train", TrainParams)
        seed = params.section("qa.seed", Seed)
        squad_v2 = params.section("qa.squad_v2", bool)
        variant, settings = params.variant("qa.model", "retune.qa.models", "qa.models")
    build = partial(variant.build, settings, resolve(checkpoint))
    paths = raw, features, model, curves, costs
    return train(*paths, build=build, params=training, seed=seed, squad_v2=squad_v2)


if __name__ == "__main__":
    run_launched(main)
