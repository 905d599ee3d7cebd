"""Bring the chosen data set to the canonical form, checked."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.qa.download.download import DownloadParams, download


def main(raw: Path, metrics: Path) -> str:
    """Bring the data set of `qa.dataset` to the folder RAW; count what was found in METRICS.

    Example: python -m stages.qa.download data/qa/raw metrics/qa_download.json
    """
    with Params() as params:
        settings = params.section("qa.download", DownloadParams)
        squad_v2 = params.section("qa.squad_v2", bool)
        dataset, source = params.variant("qa.dataset", "retune.tasks.qa.datasets", "qa.datasets")
    sources = dataset.sources(source)
    with sealed(params.read, reads={}, writes={"raw": raw}, reports=[metrics]):
        return download(raw, metrics, sources=sources, params=settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
