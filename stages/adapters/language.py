"""Train a language adapter by masked language modelling."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Seed
from retune.models.checkpoints import CheckpointParams
from retune.tasks.masked_lm.train.language import LanguageParams, train_language
from retune.training.fit import Results
from retune.training.launch import run_launched


def main(raw: Path, bundle: Path, metrics: Path, curves: Path, costs: Path, times: Path) -> str:
    r"""Train on the contexts of RAW; write BUNDLE, METRICS, CURVES, COSTS and TIMES.

    A training that was stopped or killed goes on from its last checkpoint.

    Example: python -m stages.adapters.language data/raw data/language metrics/language.json \
        metrics/language_curves metrics/language_costs.json metrics/language_times.json
    """
    with Params() as params:
        base = params.section("qa.checkpoint", CheckpointParams)
        seed = params.section("qa.seed", Seed)
        training = params.section("adapters.language", LanguageParams)
    results = Results(bundle, curves, costs, times)
    reports = [metrics, curves, costs, times, bundle.parent / "checkpoints"]
    with sealed(params.read, reads={"raw": raw}, writes={"bundle": bundle}, reports=reports):
        return train_language(
            raw, results, metrics, params=training, base=base, seed=seed, settings=params.read
        )


if __name__ == "__main__":
    run_launched(main)
