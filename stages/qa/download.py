"""Bring the chosen data set to the canonical form, checked."""

from pathlib import Path

from retune.lineage import sealed
from retune.params import Params
from retune.qa.download import DownloadParams, download
from retune.stage import run_stage


def main(raw: Path, metrics: Path) -> str:
    """Bring the data set of `qa.dataset` to the folder RAW; count what was found in METRICS.

    Example: python -m stages.qa.download data/qa/raw metrics/qa_download.json
    """
    with Params() as params:
        settings = params.section("qa.download", DownloadParams)
        squad_v2 = params.section("qa.squad_v2", bool)
        dataset, source = params.variant("qa.dataset", "retune.qa.datasets", "qa.datasets")
    sources = dataset.sources(source)
    with sealed(params.read, reads={}, writes={"raw": raw}, reports=[metrics]):
        return download(raw, metrics, sources=sources, params=settings, squad_v2=squad_v2)


if __name__ == "__main__":
    run_stage(main)
