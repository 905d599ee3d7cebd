"""Training: windows a second of the notebooks' recipe, of `Trainer`'s best, and of retune's.

With `--packing`, of modern encoders with packed and with padded windows of the bundled corpus.
"""

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import torch
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedModel

from bench import measure, modern_encoders
from bench.notebook_models import NotebookLstm, NotebookTransformer
from bench.recipes import ABLATIONS, NOTEBOOK, PADDED, RETUNE, TRAINER, measured
from bench.windows import pretrained_folder, shuffled_windows
from retune.models.precision import resolved_precision
from retune.tasks.qa.models import bert, lstm, transformer

if TYPE_CHECKING:
    from datasets import Dataset

#: Lowest ratio to the notebooks' recipe, and to `Trainer`'s best.
GOALS = {
    "minilm": (12.0, 2.5),
    "bert-mini": (8.0, 2.0),
    "lstm": (3.0,),
    "transformer": (3.0,),
}
ENCODERS = ("minilm", "bert-mini")
#: Lowest ratio of packed windows to padded ones in batches of any lengths.
PACKING_GOALS = {"padded": 1.5}
BATCH = 16
RECIPES = {"retune": RETUNE, "notebook": NOTEBOOK, "Trainer's best": TRAINER}


def main() -> None:
    """Measure, and print or save the figures."""
    parser = measure.parser("training", str(__doc__))
    names = [*GOALS, *modern_encoders.SHAPES]
    parser.add_argument("--model", choices=names, action="append", help="default: all")
    parser.add_argument("--ablation", action="store_true", help="each ingredient left out")
    parser.add_argument("--packing", action="store_true", help="modern encoders, packed and padded")
    parser.add_argument("--steps", type=int, default=6, help="steps a round (default: 6)")
    parser.add_argument("--batch", type=int, default=BATCH, help="windows a step (default: 16)")
    options = parser.parse_args()
    known = modern_encoders.SHAPES if options.packing else GOALS
    if unknown := {*(options.model or [])} - {*known}:
        parser.error(f"--model: with these options one of {', '.join(known)}, not {unknown.pop()}")
    if options.packing:
        _packing(options)
        return
    comparisons, shares = [], {}
    with shuffled_windows(2000) as rows:
        for name in options.model or GOALS:
            comparison = _compare(name, rows, options)
            comparisons.append(comparison)
            if name in ENCODERS:
                flops = _flops_per_window(encoder(name), rows["length"])
                rate = measure.Spread.of(comparison.rates["retune"]).median
                shares[name] = rate * flops / matrix_rate()
    measure.report(
        "training_ablation" if options.ablation else "training",
        comparisons,
        options,
        precision=resolved_precision("auto"),
        share_of_matrix_rate=shares,
    )
    for name, share in shares.items():
        text = f"{name}: {share:.0%} of this machine's {resolved_precision('auto')} matrix rate"
        print(text, file=sys.stderr)


def _packing(options: argparse.Namespace) -> None:
    """Compare packed windows of modern encoders with padded ones."""
    comparisons = []
    with shuffled_windows(2000, bundled=True) as rows:
        for name in options.model or modern_encoders.SHAPES:
            build = partial(modern_encoders.build, name)
            sides = {
                key: partial(
                    measured, build, rows, recipe, options.batch, options.steps, tokens=True
                )
                for key, recipe in ({"packed": RETUNE} | PADDED).items()
            }
            title = f"Training {name}, batch {options.batch}"
            comparisons.append(
                measure.alternate(title, "tokens/s", sides, options.rounds, PACKING_GOALS)
            )
    measure.report("training_packing", comparisons, options, precision=resolved_precision("auto"))


def _compare(name: str, rows: "Dataset", options: argparse.Namespace) -> measure.Comparison:
    recipes = {"retune": RETUNE} | ABLATIONS if options.ablation else RECIPES
    if name not in ENCODERS:
        recipes = {"retune": RETUNE, "notebook": NOTEBOOK}
    others = {"lstm": NotebookLstm, "transformer": NotebookTransformer}
    models = {"notebook": others[name]} if name in others else {}
    same = partial(encoder, name)
    sides = {
        key: partial(measured, models.get(key, same), rows, recipe, options.batch, options.steps)
        for key, recipe in recipes.items()
    }
    goals = {} if options.ablation else dict(zip(list(recipes)[1:], GOALS[name], strict=True))
    title = f"Training {name}, batch {options.batch}"
    return measure.alternate(title, "windows/s", sides, options.rounds, goals)


def minilm(dropout: float | None = None) -> PreTrainedModel:
    """Return the encoder of params.yaml with a new span head; without `dropout`, with its own."""
    torch.manual_seed(1)
    return bert.build(bert.Params(dropout), pretrained_folder(), 30522, 0)


def encoder(name: str) -> PreTrainedModel:
    if name == "minilm":
        return minilm()
    torch.manual_seed(1)
    if name == "lstm":
        return lstm.build(lstm.Params(768, 768), pretrained_folder(), 30522, 0)
    if name == "transformer":
        sizes = transformer.Params(768, 12, 2048, 0.1)
        return transformer.build(sizes, pretrained_folder(), 30522, 0)
    # google/bert_uncased_L-4_H-256_A-4; its speed does not depend on the weights.
    sizes = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
    return BertForQuestionAnswering(BertConfig(intermediate_size=1024, **sizes))


def _flops_per_window(model: PreTrainedModel, lengths: list[int]) -> float:
    """Return the FLOPs of matrix products in a training step, for a window without padding."""
    config = model.config
    hidden, inner = config.hidden_size, config.intermediate_size
    weights = config.num_hidden_layers * (4 * hidden**2 + 2 * hidden * inner)
    tokens = torch.tensor(lengths, dtype=torch.float64)
    pairs = config.num_hidden_layers * 2 * hidden * tokens**2
    return float((6 * weights * tokens + 6 * pairs).mean())


def matrix_rate() -> float:
    """Return the machine's best rate of matrix products in the precision `auto`, in FLOP/s."""
    dtype = torch.bfloat16 if resolved_precision("auto") == "bf16" else torch.float32
    best = 0.0
    for size in (1024, 2048, 3072):
        left, right = torch.randn(2, size, size).to(dtype)
        for _ in range(8):
            begin = time.perf_counter()
            left @ right
            best = max(best, 2 * size**3 / (time.perf_counter() - begin))
    return best


if __name__ == "__main__":
    main()
