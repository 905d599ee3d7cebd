"""Say how likely a model finds the validation texts."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.language_model.models import load
from retune.tasks.language_model.perplexity.perplexity import PerplexityParams, write_perplexities


def main(features: Path, model: Path, likelihoods: Path, metrics: Path) -> str:
    r"""Read the validation split of FEATURES with MODEL; write the folder LIKELIHOODS and METRICS.

    Example: python -m stages.language_model.perplexity data/features data/after \
        data/likelihoods/after metrics/perplexity.json
    """
    with Params() as params:
        settings = params.section("language_model.perplexity", PerplexityParams)
    reads, writes = {"features": features, "model": model}, {"likelihoods": likelihoods}
    with sealed(params.read, reads=reads, writes=writes, reports=[metrics]):
        return write_perplexities(features, load(model), likelihoods, metrics, settings)


if __name__ == "__main__":
    run_stage(main)
