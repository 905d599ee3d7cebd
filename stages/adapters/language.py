"""Train a language adapter by masked language modelling."""

from typing import Annotated

from retune.core.params import Params, Seed
from retune.core.signature import In, Report, Trained
from retune.models.pretrained_files import PretrainedParams
from retune.processes.launch import run_launched
from retune.tasks.masked_lm.train.language import LanguageParams, train_language
from retune.training.fit import Results


def main(
    raw: In, bundle: Trained, metrics: Report, curves: Report, costs: Report, times: Report, *,
    base: Annotated[PretrainedParams, "qa.checkpoint"],
    seed: Annotated[Seed, "qa.seed"],
    training: Annotated[LanguageParams, "adapters.language"],
    params: Params,
) -> str:  # fmt: skip
    r"""Train on the contexts of RAW; write BUNDLE, METRICS, CURVES, COSTS and TIMES.

    An interrupted training resumes from its last checkpoint.

    Example: python -m stages.adapters.language data/raw data/language metrics/language.json \
        metrics/language_curves metrics/language_costs.json metrics/language_times.json
    """
    results = Results(bundle, curves, costs, times)
    return train_language(
        raw, results, metrics, params=training, base=base, seed=seed, settings=params.read
    )


if __name__ == "__main__":
    run_launched(main)
