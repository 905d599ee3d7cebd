"""Exported models: windows a second against torch in float32, on the windows of the test questions.

It measures the exports of the last run: make them with `retune export` first.
"""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench import measure
from bench.inputs import ROOT
from bench.measure import Comparison
from retune.inference.answering import load_model
from retune.inference.settings import find_model
from retune.models.pretrained_files import load_tokenizer
from retune.tasks.qa.predict.batches import Collator, span_logits
from retune.tasks.qa.predict.predict import window_rows
from retune.tasks.qa.windows.features import feature_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_RUN = ROOT / "data" / "qa"
_TORCH = "torch fp32"
_BATCH = 32
#: Exports by the folder that `retune export` writes, and the least ratio where one was asked for,
#: on processors that multiply 8-bit integers (VNNI).
_GOALS = {"onnx": None, "openvino": None, "onnx-int8": 3.0, "openvino-int8": 3.0}


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("exports", str(__doc__).splitlines()[0])
    parser.add_argument("--windows", type=int, default=96, help="the first ones (default: 96)")
    options = parser.parse_args()
    folders = {_TORCH: _RUN} | {name: _RUN / "exports" / name for name in _GOALS}
    for name, folder in folders.items():
        if not (folder / "model").is_dir():
            command = "retune export " + name.replace("-int8", " --int8 --max-loss 100")
            raise SystemExit(f"{folder}: no model; run `dvc repro`, and `{command}`")
    part = next(feature_batches(_RUN / "test_features" / "test.arrow"))
    rows = range(min(options.windows, len(part)))
    batches = [window_rows(part, rows[begin : begin + _BATCH]) for begin in rows[::_BATCH]]
    sides = {name: partial(_rate, _loaded(each), each, batches) for name, each in folders.items()}
    measured = measure.alternate("Exports", "windows/s", sides, options.rounds).rates
    comparisons = [
        Comparison(
            f"Export {name}", "windows/s", {name: measured[name], _TORCH: measured[_TORCH]},
            {_TORCH: goal} if goal else {},
        )
        for name, goal in _GOALS.items()
    ]  # fmt: skip
    sizes = {name: _megabytes(folder / "model") for name, folder in folders.items()}
    measure.report("exports", comparisons, options, megabytes=sizes)


def _loaded(run: Path) -> "PreTrainedModel":
    return load_model(find_model(run, None))


def _rate(model: "PreTrainedModel", run: Path, batches: list[list[dict[str, Any]]]) -> float:
    collator = Collator.for_model(model, load_tokenizer(run / "model"), "fp32")
    begin = time.perf_counter()
    with torch.inference_mode():
        for windows in batches:
            span_logits(model, collator(windows))
    return sum(map(len, batches)) / (time.perf_counter() - begin)


def _megabytes(model: Path) -> float:
    """Return the size of the weights, of the files that are no text."""
    texts = (".json", ".txt", ".xml")
    files = (path for path in model.iterdir() if path.suffix not in texts)
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)


if __name__ == "__main__":
    main()
