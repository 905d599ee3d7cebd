"""Train an adapter that finds named entities."""

from typing import Annotated

from retune.core.params import Params, Seed
from retune.core.signature import In, Report, Trained
from retune.models.pretrained_files import PretrainedParams
from retune.processes.launch import run_launched
from retune.tasks.ner.train.entities import EntitiesParams, train_entities
from retune.training.fit import Results


def main(
    bundle: Trained, metrics: Report, curves: Report, costs: Report, times: Report,
    language: In | None = None, *,
    base: Annotated[PretrainedParams, "qa.checkpoint"],
    seed: Annotated[Seed, "qa.seed"],
    training: Annotated[EntitiesParams, "adapters.entities"],
    params: Params,
) -> str:  # fmt: skip
    r"""Train on CoNLL files; write BUNDLE, METRICS, CURVES, COSTS and TIMES.

    With --language the adapter is stacked on the adapter of a language bundle. An interrupted
    training resumes from its last checkpoint.

    Example: python -m stages.adapters.entities --language data/language data/entities \
        metrics/entities.json metrics/entities_curves metrics/entities_costs.json \
        metrics/entities_times.json
    """
    results = Results(bundle, curves, costs, times)
    return train_entities(results, metrics, params=training, base=base, language=language,
                          seed=seed, settings=params.read)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
