"""One training step under torch's profiler: where the notebooks' recipe and retune's spend time."""

import json
import sys
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from bench.measure import RESULTS, machine, plain_parser
from bench.recipes import NOTEBOOK, RETUNE, Recipe, collator_of, set_dropout, set_memory
from bench.training import BATCH, ENCODERS, encoder
from bench.windows import shuffled_windows
from retune.models.batches import Batch
from retune.tasks.qa.predict.batches import span_logits
from retune.tasks.qa.train.evaluation import batch_loss

_ROWS = 12


def main() -> None:
    """Profile one step of each recipe, and save the tables to bench/results/profile.json."""
    parser = plain_parser("profile", str(__doc__), "--model bert-mini")
    parser.add_argument(
        "--model", choices=ENCODERS, default="minilm", help="to train (default: minilm)"
    )
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "model": options.model, "steps": {}}
    with shuffled_windows(500) as rows:
        windows = [rows[number] for number in range(BATCH)]
        for name, recipe in (("notebook", NOTEBOOK), ("retune", RETUNE)):
            figures["steps"][name] = _profiled(encoder(options.model), windows, recipe)
    text = json.dumps(figures, indent=2) + "\n"
    (RESULTS / "profile.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _profiled(model: nn.Module, windows: list[Any], recipe: Recipe) -> dict[str, Any]:
    """Return the operators of one step by their own time, after two steps of warm-up."""
    set_memory(keep=recipe.keep_memory)
    set_dropout(model, fast=recipe.fast_dropout)
    fused = recipe.optimizer == "adamw_torch_fused"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=fused)
    model.train()
    with collator_of(model, recipe) as collator:
        batch = collator(windows)
        for _ in range(2):
            _step(model, batch, optimizer)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            _step(model, batch, optimizer)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    rows = [
        {"operator": e.key, "calls": e.count, "ms": e.self_cpu_time_total / 1000,
         "share": e.self_cpu_time_total / total}
        for e in events[:_ROWS]
    ]  # fmt: skip
    return {"total_ms": total / 1000, "rows": rows}


def _step(model: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer) -> None:
    batch_loss(*span_logits(model, batch), batch).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


if __name__ == "__main__":
    main()
