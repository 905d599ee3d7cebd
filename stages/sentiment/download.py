"""Bring the chosen data set to the canonical form, checked."""

from typing import Annotated

from retune.core.params import Choice, Chosen
from retune.core.signature import Out, Report
from retune.core.stage import run_stage
from retune.tasks.sentiment.download.download import DownloadParams, download

DATASETS = Choice("sentiment.dataset", "retune.tasks.sentiment.datasets", "sentiment.datasets")


def main(
    raw: Out, metrics: Report, *,
    settings: Annotated[DownloadParams, "sentiment.download"],
    dataset: Annotated[Chosen, DATASETS],
) -> str:  # fmt: skip
    """Bring the data set of `sentiment.dataset` to the folder RAW; count findings in METRICS.

    Example: python -m stages.sentiment.download data/raw metrics/download.json
    """
    files, layout = dataset.module.sources(dataset.params), dataset.module.layout(dataset.params)
    return download(raw, metrics, sources=files, layout=layout, params=settings)


if __name__ == "__main__":
    run_stage(main)
