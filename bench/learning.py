"""Learning: F1 of the plain recipe and of retune's on the same questions and seeds.

Both use the code of the train stage on the features of the last run (`dvc repro`), with the
settings of params.yaml and the pretrained encoder's dropout. The plain recipe uses torch's dropout
and windows padded to about the longest of their batch (more padding would give the same numbers,
more slowly). Its batches are the same; its dropout draws other bits, as another seed would. The
runs go side by side, with one thread each; nothing is timed.
"""

import itertools
import json
import multiprocessing
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

import pandas as pd
import torch
from tqdm import tqdm

from bench.inputs import ROOT
from bench.measure import RESULTS, machine, plain_parser
from bench.windows import pretrained_folder, pretrained_params
from retune.core.params import Params
from retune.tasks.qa.models import bert
from retune.tasks.qa.predict.batches import Collator
from retune.tasks.qa.train.train import TrainParams, train

SEEDS = (1, 2, 3)


def main() -> None:
    """Train every seed both ways, and print or save the scores."""
    parser = plain_parser("learning", str(__doc__), "--save")
    parser.add_argument("--save", action="store_true", help="save the scores to bench/results/")
    options = parser.parse_args()
    recipes = list(itertools.product(SEEDS, ("retune", "plain")))
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        runs = list(tqdm(pool.map(_run, *zip(*recipes, strict=True)), total=len(recipes)))
    means = {
        recipe: _summary([run.f1 for run in runs if run.recipe == recipe])
        for recipe in ("retune", "plain")
    }
    figures = {"machine": machine(), "runs": [run._asdict() for run in runs], "f1": means}
    text = json.dumps(figures, indent=2) + "\n"
    if options.save:
        (RESULTS / "learning.json").write_text(text, encoding="utf-8")
    print(text, end="")


class Run(NamedTuple):
    """EM and F1 of the best epoch of a training."""

    recipe: str
    seed: int
    exact_match: float
    f1: float


def _run(seed: int, recipe: str) -> Run:
    torch.set_num_threads(1)
    with _plain() if recipe == "plain" else nullcontext():
        best = _best_epoch(seed)
    return Run(recipe, seed, float(best["exact_match"]), float(best["f1"]))


def _best_epoch(seed: int) -> "pd.Series[float]":
    with Params(ROOT / "params.yaml") as params:
        settings = params.section("qa.train", TrainParams)
    data = ROOT / "data" / "qa"
    with TemporaryDirectory() as name:
        folder = Path(name)
        train(
            data / "raw",
            data / "features",
            folder / "model",
            folder / "curves",
            folder / "costs.json",
            folder / "times.json",
            build=partial(bert.build, bert.Params(dropout=None), pretrained_folder()),
            base=pretrained_params(),
            params=settings,
            seed=seed,
            squad_v2=False,
        )
        curve = pd.read_csv(folder / "curves" / "validation.csv")
    return curve.loc[curve["f1"].idxmax()]


@contextmanager
def _plain() -> Iterator[None]:
    """Let the train stage pad windows and use torch's dropout."""
    padded = Collator(0, pad_left=False, token_types=True)
    with (
        patch("retune.training.trainer.use_fast_dropout"),
        patch.object(Collator, "for_model", return_value=padded),
        patch("retune.training.arguments._grouped", return_value=False),
    ):
        yield


def _summary(values: list[float]) -> dict[str, float]:
    return {"mean": statistics.mean(values), "deviation": statistics.stdev(values)}


if __name__ == "__main__":
    main()
