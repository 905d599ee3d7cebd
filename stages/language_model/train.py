"""Train the model on blocks of text and keep its best epoch."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Seed
from retune.tasks.language_model.train.train import TrainParams, train
from retune.training.launch import run_launched


def main(features: Path, before: Path, after: Path, curves: Path, costs: Path, times: Path) -> str:
    r"""Train the model BEFORE on FEATURES; write AFTER, CURVES, COSTS and TIMES.

    A training that was stopped or killed goes on from its last checkpoint.

    Example: python -m stages.language_model.train data/features data/before data/after \
        metrics/curves metrics/costs.json metrics/times.json
    """
    with Params() as params:
        seed = params.section("language_model.seed", Seed)
        training = params.section("language_model.train", TrainParams)
        params.section("language_model.model", str)  # told with the model; `retune ask` asks for it
    reads, writes = {"features": features, "before": before}, {"after": after}
    reports = [curves, costs, times, after.parent / "checkpoints"]
    with sealed(params.read, reads=reads, writes=writes, reports=reports):
        return train(features, before, after, curves, costs, times,
                     params=training, seed=seed, settings=params.read)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
