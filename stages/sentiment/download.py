"""Bring the chosen data set to the canonical form, checked."""

from pathlib import Path

from retune.lineage import sealed
from retune.params import Params
from retune.sentiment.download import DownloadParams, download
from retune.stage import run_stage


def main(raw: Path, metrics: Path) -> str:
    r"""Bring the data set of `sentiment.dataset` to the folder RAW; count findings in METRICS.

    Example: python ../../stages sentiment.download data/raw metrics/download.json
    """
    with Params() as params:
        settings = params.section("sentiment.download", DownloadParams)
        dataset, source = params.variant(
            "sentiment.dataset", "retune.sentiment.datasets", "sentiment.datasets"
        )
    files, layout = dataset.sources(source), dataset.layout(source)
    with sealed(params.read, reads={}, writes={"raw": raw}, reports=[metrics]):
        return download(raw, metrics, sources=files, layout=layout, params=settings)


if __name__ == "__main__":
    run_stage(main)
