"""Train the model on blocks of text and keep its best epoch."""

from typing import Annotated

from retune.core.params import Params, Seed
from retune.core.signature import In, Report, Trained
from retune.processes.launch import run_launched
from retune.tasks.language_model.train.train import TrainParams, train


def main(
    features: In, before: In, after: Trained, curves: Report, costs: Report, times: Report, *,
    seed: Annotated[Seed, "language_model.seed"],
    training: Annotated[TrainParams, "language_model.train"],
    model: Annotated[str, "language_model.model"],  # for the manifest, which `retune ask` reads
    params: Params,
) -> str:  # fmt: skip
    r"""Train the model BEFORE on FEATURES; write AFTER, CURVES, COSTS and TIMES.

    An interrupted training resumes from its last checkpoint.

    Example: python -m stages.language_model.train data/features data/before data/after \
        metrics/curves metrics/costs.json metrics/times.json
    """
    return train(features, before, after, curves, costs, times,
                 params=training, seed=seed, settings=params.read)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
