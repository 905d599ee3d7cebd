"""Say how likely a model finds the validation texts."""

from pathlib import Path

from retune.language_model.models import load
from retune.language_model.perplexity import PerplexityParams, write_perplexities
from retune.lineage import sealed
from retune.params import Params
from retune.stage import run_stage


def main(features: Path, model: Path, likelihoods: Path, metrics: Path) -> str:
    r"""Read the validation split of FEATURES with MODEL; write the folder LIKELIHOODS and METRICS.

    Example: python ../../stages language_model.perplexity data/features data/after \
        data/likelihoods/after metrics/perplexity.json
    """
    with Params() as params:
        settings = params.section("language_model.perplexity", PerplexityParams)
    reads, writes = {"features": features, "model": model}, {"likelihoods": likelihoods}
    with sealed(params.read, reads=reads, writes=writes, reports=[metrics]):
        return write_perplexities(features, load(model), likelihoods, metrics, settings)


if __name__ == "__main__":
    run_stage(main)
