"""Training: windows a second of the notebooks' recipe, of `Trainer`'s best, and of retune's."""

import argparse
import time

import torch
from transformers import BertConfig, BertForQuestionAnswering, PreTrainedModel

from bench import measure
from bench.recipes import ABLATIONS, NOTEBOOK, RETUNE, TRAINER, Recipe, measured
from bench.windows import checkpoint_folder, shuffled_windows
from retune.precision import resolved_precision
from retune.qa.models import bert

GOALS = {"minilm": (12.0, 2.5), "bert-mini": (8.0, 2.0)}
BATCH = 16


def main() -> None:
    """Measure, and show or keep the figures."""
    parser = measure.parser("training", str(__doc__))
    parser.add_argument("--model", choices=[*GOALS], action="append", help="default: all")
    parser.add_argument("--ablation", action="store_true", help="retune less one ingredient each")
    parser.add_argument("--steps", type=int, default=6, help="steps a round (default: 6)")
    options = parser.parse_args()
    recipes = {"retune": RETUNE} | (
        ABLATIONS if options.ablation else {"notebook": NOTEBOOK, "Trainer's best": TRAINER}
    )
    comparisons, shares = [], {}
    with shuffled_windows(2000) as rows:
        for name in options.model or GOALS:
            model = _model(name)
            goals = dict(zip(list(recipes)[1:], GOALS[name], strict=False))
            comparison = measure.alternate(
                f"Training {name}, batch {BATCH}",
                "windows/s",
                {key: _side(model, rows, recipe, options) for key, recipe in recipes.items()},
                options.rounds,
                {} if options.ablation else goals,
            )
            comparisons.append(comparison)
            flops = _flops_per_window(model, rows["length"])
            rate = measure.Spread.of(comparison.rates["retune"]).median
            shares[name] = rate * flops / matrix_rate()
    title = "training_ablation" if options.ablation else "training"
    measure.report(title, comparisons, options, precision=resolved_precision("auto"),
                   share_of_matrix_rate=shares)  # fmt: skip
    if not options.json:
        for name, share in shares.items():
            print(f"{name}: {share:.0%} of this machine's {resolved_precision('auto')} matrix rate")


def _side(
    model: PreTrainedModel, rows: object, recipe: Recipe, options: argparse.Namespace
) -> measure.Side:
    return lambda: measured(model, rows, recipe, BATCH, options.steps)  # type: ignore[arg-type]


def _model(name: str) -> PreTrainedModel:
    torch.manual_seed(1)
    if name == "minilm":
        return bert.build(bert.Params(dropout=None), checkpoint_folder(), 30522, 0)
    # google/bert_uncased_L-4_H-256_A-4; its speed does not depend on the weights.
    sizes = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
    return BertForQuestionAnswering(BertConfig(intermediate_size=1024, **sizes))


def _flops_per_window(model: PreTrainedModel, lengths: list[int]) -> float:
    """Multiplications and additions of matrix products of a training step, no padding."""
    config = model.config
    hidden, inner = config.hidden_size, config.intermediate_size
    weights = config.num_hidden_layers * (4 * hidden**2 + 2 * hidden * inner)
    tokens = torch.tensor(lengths, dtype=torch.float64)
    pairs = config.num_hidden_layers * 2 * hidden * tokens**2
    return float((6 * weights * tokens + 6 * pairs).mean())


def matrix_rate() -> float:
    """The machine's best rate of matrix products in the precision `auto`, in FLOP/s."""
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
