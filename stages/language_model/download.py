"""Bring the chosen texts to the canonical form, checked."""

from typing import Annotated

from retune.core.params import Choice, Chosen
from retune.core.signature import Out, Report
from retune.core.stage import run_stage
from retune.tasks.language_model.download.download import DownloadParams, download

DATASETS = Choice("language_model.dataset", "retune.tasks.language_model.datasets",
                  "language_model.datasets")  # fmt: skip


def main(
    raw: Out, metrics: Report, *,
    settings: Annotated[DownloadParams, "language_model.download"],
    dataset: Annotated[Chosen, DATASETS],
) -> str:  # fmt: skip
    """Bring the data set of `language_model.dataset` to the folder RAW; count in METRICS.

    Example: python -m stages.language_model.download data/raw metrics/texts.json
    """
    files, field = dataset.module.sources(dataset.params), dataset.module.field(dataset.params)
    return download(raw, metrics, sources=files, field=field, params=settings)


if __name__ == "__main__":
    run_stage(main)
