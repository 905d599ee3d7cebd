"""Learning: F1 of the plain recipe and of retune's after the same questions, same seeds.

Both are the train stage's own code on the features of the last run (`dvc repro`), with the
settings of params.yaml and the checkpoint's own dropout. The plain recipe has what
transformers brings: torch's dropout, and windows padded to the longest of their batch (more
padding would give the same numbers, only later). Its batches are the same; its dropout
draws other bits, as another seed would.
"""

import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pandas as pd

from bench.inputs import ROOT
from bench.measure import RESULTS, machine
from bench.windows import checkpoint_folder
from retune.params import Params
from retune.qa.batches import Collator
from retune.qa.models import bert
from retune.qa.train import TrainParams, train

SEEDS = (1, 2, 3)


def main() -> None:
    """Train every seed both ways, and keep the scores in bench/results/learning.json."""
    runs: list[dict[str, object]] = []
    for seed in SEEDS:
        runs.append({"recipe": "retune", "seed": seed, **_run(seed)})
        with _plain():
            runs.append({"recipe": "plain", "seed": seed, **_run(seed)})
        print(json.dumps(runs[-2:]), file=sys.stderr)
    means = {
        recipe: _summary([float(str(run["f1"])) for run in runs if run["recipe"] == recipe])
        for recipe in ("retune", "plain")
    }
    figures = {"machine": machine(), "runs": runs, "f1": means}
    text = json.dumps(figures, indent=2) + "\n"
    (RESULTS / "learning.json").write_text(text, encoding="utf-8")
    print(text, end="")


def _run(seed: int) -> dict[str, float]:
    """EM and F1 of the best epoch."""
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
            build=partial(bert.build, bert.Params(dropout=None), checkpoint_folder()),
            params=settings,
            seed=seed,
            squad_v2=False,
        )
        curve = pd.read_csv(folder / "curves" / "validation.csv")
    best = curve.loc[curve["f1"].idxmax()]
    return {"exact_match": float(best["exact_match"]), "f1": float(best["f1"])}


@contextmanager
def _plain() -> Iterator[None]:
    """Let the train stage pad windows and use torch's dropout."""
    padded = Collator(0, pad_left=False, token_types=True, length_step=1)
    with (
        patch("retune.qa.train.use_fast_dropout"),
        patch.object(Collator, "for_model", return_value=padded),
        patch("retune.training._grouped", return_value=False),
    ):
        yield


def _summary(values: list[float]) -> dict[str, float]:
    return {"mean": statistics.mean(values), "deviation": statistics.stdev(values)}


if __name__ == "__main__":
    main()
