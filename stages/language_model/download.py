"""Bring the chosen texts to the canonical form, checked."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.language_model.download.download import DownloadParams, download


def main(raw: Path, metrics: Path) -> str:
    r"""Bring the data set of `language_model.dataset` to the folder RAW; count in METRICS.

    Example: python -m stages.language_model.download data/raw metrics/texts.json
    """
    with Params() as params:
        settings = params.section("language_model.download", DownloadParams)
        dataset, source = params.variant(
            "language_model.dataset",
            "retune.tasks.language_model.datasets",
            "language_model.datasets",
        )
    files, field = dataset.sources(source), dataset.field(source)
    with sealed(params.read, reads={}, writes={"raw": raw}, reports=[metrics]):
        return download(raw, metrics, sources=files, field=field, params=settings)


if __name__ == "__main__":
    run_stage(main)
