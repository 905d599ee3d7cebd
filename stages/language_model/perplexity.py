"""Measure how likely a model finds the validation texts."""

from typing import Annotated

from retune.core.signature import In, Out, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.language_model.models import load
from retune.tasks.language_model.perplexity.perplexity import PerplexityParams, write_perplexities


def main(
    features: In, model: In, likelihoods: Out, metrics: Report, *,
    settings: Annotated[PerplexityParams, "language_model.perplexity"],
) -> str:  # fmt: skip
    r"""Read the validation split of FEATURES with MODEL; write the folder LIKELIHOODS and METRICS.

    Example: python -m stages.language_model.perplexity data/features data/after \
        data/likelihoods/after metrics/perplexity.json
    """
    return write_perplexities(
        features, load(model), likelihoods, metrics, settings, Share.of_launch()
    )


if __name__ == "__main__":
    run_launched(main)
