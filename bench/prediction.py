"""Prediction: windows a second of the notebooks' recipe and of retune's, and their answers.

The notebooks predict in float32, 16 windows at a time, each padded to 384 tokens. The model
is the one of the last run (`dvc repro`), so that its answers can be compared.
"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from bench import measure
from bench.inputs import ROOT
from bench.recipes import NOTEBOOK, RETUNE, Recipe, collator_of, set_memory
from bench.windows import shuffled_features
from retune.core.params import load_yaml
from retune.tasks.qa.postprocess.postprocess import PostprocessParams, answers
from retune.tasks.qa.predict.predict import PredictParams, predict_part
from retune.tasks.qa.predict.reader import load
from retune.tasks.qa.questions.examples import read_examples
from retune.tasks.qa.windows.features import feature_batches, read_windows

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Logits = NDArray[np.float32]


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("prediction", str(__doc__).splitlines()[0])
    parser.add_argument("--questions", type=int, default=400, help="drawn at random")
    options = parser.parse_args()
    model = _last_model()
    with shuffled_features(options.questions) as folder:
        path = folder / "features" / "train.arrow"
        logits: dict[str, Logits] = {}
        sides = {
            name: partial(_rate, model, path, recipe, logits, name)
            for name, recipe in (("retune", RETUNE), ("notebook", NOTEBOOK))
        }
        comparison = measure.alternate(
            "Prediction", "windows/s", sides, options.rounds, {"notebook": 5.0}
        )
        same = _same_answers(folder, path, logits)
    measure.report("prediction", [comparison], options, identical_answers=same)
    print(f"{same:.2%} of the answers are identical", file=sys.stderr)


def _last_model() -> "PreTrainedModel":
    lock, folder = ROOT / "dvc.lock", ROOT / "data" / "qa" / "model"
    if not folder.exists():
        raise SystemExit(f"{folder}: no model; run `dvc repro` first")
    params = load_yaml(lock)["stages"]["train"]["params"]["params.yaml"]
    return load(params["qa.model"], folder)


def _rate(
    model: "PreTrainedModel", path: Path, recipe: Recipe, logits: dict[str, Logits], name: str
) -> float:
    set_memory(keep=recipe.keep_memory)
    params = PredictParams(batch_size=16, precision=recipe.precision)
    parts = list(feature_batches(path))
    count = sum(map(len, parts))
    with collator_of(model, recipe) as collator, tqdm(disable=True) as bar:
        begin = time.perf_counter()
        found = [predict_part(model, part, collator, params, bar) for part in parts]
        seconds = time.perf_counter() - begin
    logits[name] = np.concatenate(found)
    return count / seconds


def _same_answers(folder: Path, path: Path, logits: dict[str, Logits]) -> float:
    """The share of questions whose answer is the same text."""
    examples = list(read_examples(folder / "raw" / "train.jsonl"))
    params = PostprocessParams(n_best=20, max_answer_length=30, null_threshold=0.0)
    windows = read_windows(path)
    texts = [
        answers(examples, windows, values, params, squad_v2=False).texts
        for values in logits.values()
    ]
    same = sum(texts[0][example.id] == texts[1][example.id] for example in examples)
    return same / len(examples)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
