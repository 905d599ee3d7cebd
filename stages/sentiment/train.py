"""Train one model with one seed and keep its best epoch."""

from functools import partial
from typing import Annotated

from retune.core.params import Choice, Chosen, Params
from retune.core.signature import Check, In, Report, Trained
from retune.models.pretrained_files import PretrainedParams, resolve
from retune.processes.launch import run_launched
from retune.tasks.sentiment.train.train import TrainParams, train
from retune.tasks.sentiment.vocabularies import require_own_ids

MODELS = Choice("sentiment.model", "retune.tasks.sentiment.models", "sentiment.models")


def main(
    features: In, model: Trained, curves: Report, costs: Report, times: Report, *, seed: int,
    pretrained: Annotated[PretrainedParams, "sentiment.checkpoint"],
    training: Annotated[TrainParams, "sentiment.train"],
    vocabulary: Annotated[str, "sentiment.vocabulary"],
    variant: Annotated[Chosen, MODELS, Check(require_own_ids, "vocabulary")],
    params: Params,
) -> str:  # fmt: skip
    r"""Train the model of `sentiment.model` on FEATURES; write MODEL, CURVES, COSTS and TIMES.

    An interrupted training resumes from its last checkpoint.

    Example: python -m stages.sentiment.train --variant bert --seed 1234 data/bert/features \
        data/bert/runs/1234/model metrics/curves metrics/costs.json metrics/times.json
    """
    folder = resolve(pretrained, "sentiment.checkpoint")
    build = partial(variant.module.build, variant.params, folder)
    return train(features, model, curves, costs, times, build=build, params=training, seed=seed,
                 settings=params.read)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
