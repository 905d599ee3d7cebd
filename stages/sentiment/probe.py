"""Probe what a variant's models understand: case, negation, moved words, ..."""

from pathlib import Path

from retune.core.artifacts import sealed
from retune.core.params import Params
from retune.core.stage import run_stage
from retune.tasks.sentiment.predict.predict import PredictParams
from retune.tasks.sentiment.probe.probe import probe
from retune.tasks.sentiment.probe.probe_files import read_probes
from retune.tasks.sentiment.probe.probes import ProbeParams
from retune.tasks.sentiment.texts.outputs import seed_folders
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams


def main(runs: Path, metrics: Path) -> str:
    r"""Ask the model of each seed in RUNS about the probe sets; write pass rates to METRICS.

    Example: python -m stages.sentiment.probe --variant bert data/bert/runs \
        metrics/probes.json
    """
    with Params() as params:
        chosen = params.section("sentiment.model", str)
        lengths = params.section("sentiment.tokenize", TokenizeParams)
        prediction = params.section("sentiment.predict", PredictParams)
        settings = params.section("sentiment.probe", ProbeParams)
        seeds = params.section("sentiment.seeds", list[int])
    folders = {s: run / "model" for s, run in seed_folders(runs, seeds).items()}
    reads = {f"model {seed}": folder for seed, folder in folders.items()}
    with sealed(params.read, reads=reads, writes={}, reports=[metrics]):
        probes = read_probes(Path(settings.folder))
        return probe(folders, metrics, model=chosen, probes=probes, params=settings,
                     lengths=lengths, prediction=prediction)  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
