"""Train one model with one seed and keep its best epoch."""

from functools import partial
from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.models.checkpoints import CheckpointParams, resolve
from retune.tasks.sentiment.train.train import TrainParams, train
from retune.tasks.sentiment.vocabularies import require_own_ids
from retune.training.launch import run_launched


def main(features: Path, model: Path, curves: Path, costs: Path, times: Path, *, seed: int) -> str:
    r"""Train the model of `sentiment.model` on FEATURES; write MODEL, CURVES, COSTS and TIMES.

    A training that was stopped or killed goes on from its last checkpoint.

    Example: python -m stages.sentiment.train --variant bert --seed 1234 data/bert/features \
        data/bert/runs/1234/model metrics/curves metrics/costs.json metrics/times.json
    """
    with Params() as params:
        checkpoint = params.section("sentiment.checkpoint", CheckpointParams)
        training = params.section("sentiment.train", TrainParams)
        vocabulary = params.section("sentiment.vocabulary", str)
        chosen, settings = params.variant(
            "sentiment.model", "retune.tasks.sentiment.models", "sentiment.models"
        )
        require_own_ids(vocabulary, params.read["sentiment.model"], pretrained=settings.pretrained)
    build = partial(chosen.build, settings, resolve(checkpoint, "sentiment.checkpoint"))
    reads, writes = {"features": features}, {"model": model}
    reports = [curves, costs, times, model.parent / "checkpoints"]
    with sealed(params.read, reads=reads, writes=writes, reports=reports):
        return train(features, model, curves, costs, times, build=build, params=training,
                     seed=seed, settings=params.read)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
