"""Train one variant and keep its best epoch."""

from functools import partial
from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Seed
from retune.models.checkpoints import CheckpointParams, resolve
from retune.tasks.qa.train.train import TrainParams, train
from retune.training.launch import run_launched


def main(raw: Path, features: Path, model: Path, curves: Path, costs: Path, times: Path) -> str:
    r"""Train the variant of `qa.model` on FEATURES; write MODEL, its CURVES, COSTS and TIMES.

    A training that was stopped or killed goes on from its last checkpoint.

    Example: python -m stages.qa.train data/qa/raw data/qa/features data/qa/model \
        metrics/qa_curves metrics/qa_costs.json metrics/qa_times.json
    """
    with Params() as params:
        checkpoint = params.section("qa.checkpoint", CheckpointParams)
        training = params.section("qa.train", TrainParams)
        seed = params.section("qa.seed", Seed)
        squad_v2 = params.section("qa.squad_v2", bool)
        variant, settings = params.variant("qa.model", "retune.tasks.qa.models", "qa.models")
    build = partial(variant.build, settings, resolve(checkpoint, "qa.checkpoint"))
    paths = raw, features, model, curves, costs, times
    reads, writes = {"raw": raw, "features": features}, {"model": model}
    reports = [curves, costs, times, model.parent / "checkpoints"]
    with sealed(params.read, reads=reads, writes=writes, reports=reports):
        return train(
            *paths, build=build, base=checkpoint, params=training, seed=seed, squad_v2=squad_v2,
            settings=params.read,
        )  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
