"""Bring the chosen data set to the canonical form, checked."""

from typing import Annotated

from retune.core.params import Choice, Chosen
from retune.core.signature import Out, Report
from retune.core.stage import run_stage
from retune.tasks.qa.download.download import DownloadParams, download


def main(
    raw: Out, metrics: Report, *,
    settings: Annotated[DownloadParams, "qa.download"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
    dataset: Annotated[Chosen, Choice("qa.dataset", "retune.tasks.qa.datasets", "qa.datasets")],
) -> str:  # fmt: skip
    """Bring the data set of `qa.dataset` to the folder RAW; count what was found in METRICS.

    Example: python -m stages.qa.download data/qa/raw metrics/qa_download.json
    """
    sources = dataset.module.sources(dataset.params)
    return download(raw, metrics, sources=sources, params=settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
