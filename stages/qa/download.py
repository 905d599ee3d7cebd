"""Bring the chosen data set to the canonical form, checked."""

from typing import Annotated

from retune.core.params import Choice, Chosen
from retune.core.signature import Check, Out, Report
from retune.core.stage import run_stage
from retune.tasks.qa.download.download import DownloadParams, download, require_validation
from retune.tasks.qa.questions.splits import Keep


def main(
    raw: Out, test: Out, metrics: Report, *,
    settings: Annotated[DownloadParams, "qa.download"],
    squad_v2: Annotated[bool, "qa.squad_v2"],
    keep: Annotated[Keep, "qa.train.keep", Check(require_validation, "settings", "dataset")],
    dataset: Annotated[Chosen, Choice("qa.dataset", "retune.tasks.qa.datasets", "qa.datasets")],
) -> str:  # fmt: skip
    """Bring the data set of `qa.dataset` to the folders RAW and TEST; count in METRICS.

    RAW gets the splits that a training may see.

    Example: python -m stages.qa.download data/qa/raw data/qa/test metrics/qa_download.json
    """
    sources = dataset.module.sources(dataset.params)
    return download(raw, test, metrics, sources=sources, params=settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
