"""Bring the chosen data set to the canonical form, checked."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.sentiment.download.download import DownloadParams, download


def main(raw: Path, metrics: Path) -> str:
    r"""Bring the data set of `sentiment.dataset` to the folder RAW; count findings in METRICS.

    Example: python -m stages.sentiment.download data/raw metrics/download.json
    """
    with Params() as params:
        settings = params.section("sentiment.download", DownloadParams)
        dataset, source = params.variant(
            "sentiment.dataset", "retune.tasks.sentiment.datasets", "sentiment.datasets"
        )
    files, layout = dataset.sources(source), dataset.layout(source)
    with sealed(params.read, reads={}, writes={"raw": raw}, reports=[metrics]):
        return download(raw, metrics, sources=files, layout=layout, params=settings)


if __name__ == "__main__":
    run_stage(main)
