"""Train an adapter that finds named entities."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params, Seed
from retune.models.checkpoints import CheckpointParams
from retune.tasks.ner.train.entities import EntitiesParams, train_entities
from retune.training.fit import Results
from retune.training.launch import run_launched


def main(bundle: Path, metrics: Path, curves: Path, costs: Path, times: Path,
         language: Path | None = None) -> str:  # fmt: skip
    r"""Train on CoNLL files; write BUNDLE, METRICS, CURVES, COSTS and TIMES.

    With --language the adapter is stacked on that of a language bundle. A training that was
    stopped or killed goes on from its last checkpoint.

    Example: python -m stages.adapters.entities --language data/language data/entities \
        metrics/entities.json metrics/entities_curves metrics/entities_costs.json \
        metrics/entities_times.json
    """
    with Params() as params:
        base = params.section("qa.checkpoint", CheckpointParams)
        seed = params.section("qa.seed", Seed)
        training = params.section("adapters.entities", EntitiesParams)
    reads = {"language": language} if language else {}
    reports = [metrics, curves, costs, times, bundle.parent / "checkpoints"]
    files, settings = Results(bundle, curves, costs, times), params.read
    with sealed(settings, reads=reads, writes={"bundle": bundle}, reports=reports):
        return train_entities(files, metrics, params=training, base=base, language=language,
                              seed=seed, settings=settings)  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
