"""Train one variant and keep its best epoch."""

from functools import partial
from typing import Annotated

from retune.core.params import Choice, Chosen, Params, Seed
from retune.core.signature import In, Report, Trained
from retune.models.pretrained_files import PretrainedParams, resolve
from retune.processes.launch import run_launched
from retune.tasks.qa.train.train import TrainParams, train


def main(
    raw: In, features: In, model: Trained, curves: Report, costs: Report, times: Report,
    taught: In | None = None, *,
    base: Annotated[PretrainedParams, "qa.checkpoint"],
    training: Annotated[TrainParams, "qa.train"],
    seed: Annotated[Seed, "qa.seed"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
    variant: Annotated[Chosen, Choice("qa.model", "retune.tasks.qa.models", "qa.models")],
    params: Params,
) -> str:  # fmt: skip
    r"""Train the variant of `qa.model` on FEATURES; write MODEL, its CURVES, COSTS and TIMES.

    With --taught, it learns from the answers of a teacher (stage teach).

    An interrupted training resumes from its last checkpoint.

    Example: python -m stages.qa.train data/qa/raw data/qa/features data/qa/model \
        metrics/qa_curves metrics/qa_costs.json metrics/qa_times.json
    """
    build = partial(variant.module.build, variant.params, resolve(base, "qa.checkpoint"))
    return train(raw, features, model, curves, costs, times, build=build, base=base,
                 params=training, seed=seed, squad_v2=squad_v2, taught=taught,
                 settings=params.read)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
