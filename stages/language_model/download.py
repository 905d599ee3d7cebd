"""Bring the chosen texts to the canonical form, checked."""

from pathlib import Path

from retune.language_model.download import DownloadParams, download
from retune.lineage import sealed
from retune.params import Params
from retune.stage import run_stage


def main(raw: Path, metrics: Path) -> str:
    r"""Bring the data set of `language_model.dataset` to the folder RAW; count in METRICS.

    Example: python ../../stages language_model.download data/raw metrics/texts.json
    """
    with Params() as params:
        settings = params.section("language_model.download", DownloadParams)
        dataset, source = params.variant(
            "language_model.dataset", "retune.language_model.datasets", "language_model.datasets"
        )
    files, field = dataset.sources(source), dataset.field(source)
    with sealed(params.read, reads={}, writes={"raw": raw}, reports=[metrics]):
        return download(raw, metrics, sources=files, field=field, params=settings)


if __name__ == "__main__":
    run_stage(main)
