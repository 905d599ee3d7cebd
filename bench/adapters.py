"""Training on a frozen encoder, an adapter or LoRA, against full fine-tuning of the same encoder.

The sides take turns with the same windows and the same recipe. Peak memory is measured for each
side in a separate process that only trains.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel

from bench import measure
from bench.inputs import ROOT
from bench.memory import peak_of
from bench.recipes import RETUNE, measured
from bench.windows import pretrained_folder, shuffled_features
from retune.models.precision import resolved_precision
from retune.tasks.qa.models import bert, bert_adapter, bert_lora
from retune.tasks.qa.windows.features import read_rows
from retune.training.trainer import parameter_counts

FULL = "full fine-tuning"
#: Lowest ratio to full fine-tuning, for sides with a goal.
GOALS = {"adapter": 1.3, "LoRA": None}
BATCH = 16


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("adapters", str(__doc__))
    parser.add_argument("--steps", type=int, default=6, help="steps a round (default: 6)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"windows (default: {BATCH})")
    parser.add_argument("--questions", type=int, default=2000, help="drawn from (default: 2000)")
    parser.add_argument("--peak", nargs=2, metavar=("SIDE", "FEATURES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:  # the process of one side
        side, features = options.peak
        _rate(partial(_model, side), Path(features), options)
        return
    with shuffled_features(options.questions) as folder:
        features = folder / "features"
        models = {side: partial(_model, side) for side in (*GOALS, FULL)}
        sides = {side: partial(_rate, make, features, options) for side, make in models.items()}
        title = f"Training minilm, batch {options.batch}"
        rates = measure.alternate(title, "windows/s", sides, options.rounds).rates
        peaks = {side: _peak(side, features, options) for side in sides}
    measure.report(
        "adapters",
        [_comparison(side, rates, options) for side in GOALS],
        options,
        precision=resolved_precision("auto"),
        peak_mb=peaks,
        parameters={side: parameter_counts(make()) for side, make in models.items()},
    )
    for side, mb in peaks.items():
        print(f"{side}: peak memory {mb:,.0f} MB", file=sys.stderr)


def _comparison(
    side: str, rates: Mapping[str, list[float]], options: argparse.Namespace
) -> measure.Comparison:
    goal = GOALS[side]
    return measure.Comparison(
        f"{side} on a frozen minilm, batch {options.batch}",
        "windows/s",
        {name: rates[name] for name in (side, FULL)},
        {} if goal is None else {FULL: goal},
    )


def _model(side: str) -> PreTrainedModel:
    torch.manual_seed(1)
    make = {
        "adapter": (bert_adapter, ("pfeiffer", 16, "gelu", "whole", None, None, None)),
        "LoRA": (bert_lora, (8, 16.0, 0.0, ["query", "value"], None)),
        FULL: (bert, (None,)),
    }
    variant, values = make[side]
    model: PreTrainedModel = variant.build(variant.Params(*values), pretrained_folder(), 30522, 0)
    return model


def _rate(
    make: Callable[[], PreTrainedModel], features: Path, options: argparse.Namespace
) -> float:
    rows = read_rows(features / "train.arrow")
    return measured(make, rows, RETUNE, options.batch, options.steps)


def _peak(side: str, features: Path, options: argparse.Namespace) -> float:
    """Return the peak memory of a process that trains `side`, in megabytes."""
    settings = ["--steps", str(options.steps), "--batch", str(options.batch)]
    command = ["-m", "bench.adapters", *settings, "--peak", side, str(features)]
    return peak_of([sys.executable, *command], ROOT)


if __name__ == "__main__":
    main()
