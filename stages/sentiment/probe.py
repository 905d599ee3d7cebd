"""Probe what a variant's models understand: case, negation, moved words, ..."""

from pathlib import Path
from typing import Annotated

from retune.core.signature import Inputs, Report
from retune.processes.launch import run_launched
from retune.processes.share import Share
from retune.tasks.sentiment.predict.predict import PredictParams
from retune.tasks.sentiment.probe.probe import probe
from retune.tasks.sentiment.probe.probe_files import read_probes
from retune.tasks.sentiment.probe.probes import ProbeParams
from retune.tasks.sentiment.texts.predictions import model_folders
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams


def main(
    runs: Annotated[Path, Inputs(model_folders, "seeds")], metrics: Report, *,
    model: Annotated[str, "sentiment.model"],
    lengths: Annotated[TokenizeParams, "sentiment.tokenize"],
    prediction: Annotated[PredictParams, "sentiment.predict"],
    settings: Annotated[ProbeParams, "sentiment.probe"],
    seeds: Annotated[list[int], "sentiment.seeds"],
) -> str:  # fmt: skip
    r"""Ask the model of each seed in RUNS about the probe sets; write pass rates to METRICS.

    Example: python -m stages.sentiment.probe --variant bert data/bert/runs \
        metrics/probes.json
    """
    probes = read_probes(Path(settings.folder))
    return probe(model_folders(runs, seeds), metrics, model=model, probes=probes, params=settings,
                 lengths=lengths, prediction=prediction, share=Share.of_launch())  # fmt: skip


if __name__ == "__main__":
    run_launched(main)
