"""Stage `train`: fit one variant on the train windows, keep the epoch with the best F1.

Every variant has the same loss, the same evaluation and the same training loop
(transformers' `Trainer`); a variant only turns token ids into start and end logits.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel, PrinterCallback, Trainer

from retune.checkpoints import load_tokenizer
from retune.errors import RetuneError
from retune.layers.dropout import use_fast_dropout
from retune.memory import keep_freed_memory, peak_memory_mb
from retune.params import STRICT
from retune.precision import Precision, resolved_precision
from retune.qa.batches import Batch, Collator, span_logits
from retune.qa.examples import Example, read_examples
from retune.qa.features import feature_batches, read_rows, read_windows
from retune.qa.models import max_positions
from retune.qa.postprocess import PostprocessParams, answers
from retune.qa.predict import PredictParams, predict_part
from retune.qa.score import Normalizer, evaluate_answers
from retune.seeding import random_state_kept, seed_everything
from retune.storage import atomic_path, remove, write_json
from retune.training import (
    Curves,
    OptimizationParams,
    Stopwatch,
    environment,
    require_finite,
    training_arguments,
    training_callbacks,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast


class Build(Protocol):
    """Makes a model with fresh weights wherever no checkpoint gives them."""

    def __call__(self, *, vocabulary_size: int, pad_token_id: int) -> PreTrainedModel:
        """Build the model on the CPU, in float32."""
        ...


@dataclass(frozen=True, config=STRICT)
class EvaluationParams(PostprocessParams):
    """Section `qa.train.evaluation`: how answers are read and scored after each epoch.

    It chooses the best epoch. A section of its own, so that a change of `qa.postprocess`
    or `qa.score` does not train again.
    """

    normalizer: Normalizer


@dataclass(frozen=True, config=STRICT)
class TrainParams(OptimizationParams):
    """Section `qa.train`."""

    evaluation: EvaluationParams


def train(
    raw: Path,
    features: Path,
    model_folder: Path,
    curves_folder: Path,
    costs: Path,
    *,
    build: Build,
    params: TrainParams,
    seed: int,
    squad_v2: bool,
) -> str:
    """Train the model that `build` makes; write it to `model_folder` in Hugging Face layout."""
    rows = read_rows(features / "train.arrow")
    tokenizer = load_tokenizer(features / "tokenizer")
    seed_everything(seed)  # before building: a new head is drawn at random
    model = build(vocabulary_size=len(tokenizer), pad_token_id=int(tokenizer.pad_token_id))
    _check_length(model, longest=int(np.max(rows["length"])))
    work, logs = model_folder.with_suffix(".work"), model_folder.parent / "logs"
    remove(work)
    remove(logs)  # of the run before
    curves = Curves()
    keep_freed_memory()
    use_fast_dropout(model)
    collator = Collator.for_model(model, tokenizer, resolved_precision(params.precision))
    trainer = SpanTrainer(
        model,
        collator,
        Evaluation(raw, features, params, squad_v2),
        args=training_arguments(
            params, seed, work, logs, best_metric="f1", padded=not collator.packed
        ),
        train_dataset=rows,
        callbacks=training_callbacks(params, logs, curves),
    )
    trainer.train()
    seconds = trainer.stopwatch.seconds
    require_finite(model)
    _save(model, tokenizer, model_folder)
    remove(work)
    curves.write(curves_folder)
    figures = _costs(
        model,
        model_folder / "model.safetensors",
        windows=round((trainer.state.epoch or 0) * len(rows)),
        seconds=seconds,
        precision=params.precision,
    )
    write_json(costs, {"qa": figures})
    best = max(curves.validation, key=lambda row: row["f1"])
    return (
        f"best epoch {best['epoch']:.0f}: EM {best['exact_match']:.2f}, F1 {best['f1']:.2f}; "
        f"{figures['train_windows_per_second']:.1f} windows/s"
    )


def span_loss(start_logits: Tensor, end_logits: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Mean of the cross-entropies of start and end, as in BERT (Devlin et al. 2019).

    Logits have shape (B, T), positions (B,). A position outside the window is ignored; a
    batch in which all are outside has loss 0.
    """
    losses = []
    for logits, position in ((start_logits, start), (end_logits, end)):
        size = logits.shape[1]
        outside = (position < 0) | (position >= size)
        target = position.masked_fill(outside, -100)
        total = F.cross_entropy(logits, target, reduction="sum", ignore_index=-100)
        losses.append(total / (~outside).sum().clamp(min=1))
    return (losses[0] + losses[1]) / 2


class Evaluation:
    """EM, F1 and loss of a model on the validation split, read the way stages read them."""

    def __init__(self, raw: Path, features: Path, params: TrainParams, squad_v2: bool) -> None:
        self.path = features / "validation.arrow"
        self.rows: Dataset = read_rows(self.path)
        self.windows = read_windows(self.path)
        self.examples: list[Example] = list(read_examples(raw / "validation.jsonl"))
        self.params = params
        self.squad_v2 = squad_v2

    def __call__(self, model: nn.Module, collator: Collator) -> dict[str, float]:
        """`loss`, `exact_match` and `f1` (in percent)."""
        losses: list[float] = []

        def add_loss(start: Tensor, end: Tensor, batch: Batch) -> None:
            losses.append(_batch_loss(start, end, batch).item() * len(start))

        prediction = PredictParams(self.params.eval_batch_size, self.params.precision)
        with tqdm(total=len(self.windows), desc="predict", unit=" windows", leave=False) as bar:
            parts = [
                predict_part(model, part, collator, prediction, bar, add_loss)
                for part in feature_batches(self.path)
            ]
        logits = np.concatenate(parts)
        reading = self.params.evaluation
        texts = answers(self.examples, self.windows, logits, reading, self.squad_v2).texts
        golds = [(e.id, [answer.text for answer in e.answers]) for e in self.examples]
        scores = evaluate_answers(
            golds, texts, squad_v2=self.squad_v2, normalizer=reading.normalizer
        )
        return {
            "loss": sum(losses) / len(self.rows),
            "exact_match": scores.exact_match,
            "f1": scores.f1,
        }


class SpanTrainer(Trainer):
    """`Trainer` with the span loss, and real answers and scores at each evaluation."""

    def __init__(
        self, model: PreTrainedModel, collator: Collator, evaluation: Evaluation, **options: Any
    ) -> None:
        super().__init__(model, data_collator=collator, eval_dataset=evaluation.rows, **options)
        self.remove_callback(PrinterCallback)  # our own Progress speaks instead
        self.score = partial(evaluation, model, collator)
        self.stopwatch = Stopwatch()

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        """Span loss of a batch; stops where it is not a number."""
        start, end = span_logits(model, inputs)
        loss = _batch_loss(start, end, inputs)
        if not torch.isfinite(loss):
            raise RetuneError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1} (learning rate "
                f"{self._get_learning_rate():.2g}); lower qa.train.lr or set precision to fp32"
            )
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the validation split; the generators are left as they were."""
        self.stopwatch.pause()
        with random_state_kept():
            scores = self.score()
        metrics = {f"eval_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        self.stopwatch.go_on()
        return metrics


def _save(model: PreTrainedModel, tokenizer: "PreTrainedTokenizerFast", target: Path) -> None:
    with atomic_path(target) as folder:
        model.config.name_or_path = ""  # a path of this machine has no place in the output
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _costs(
    model: PreTrainedModel, weights: Path, windows: int, seconds: float, precision: Precision
) -> dict[str, Any]:
    """Figures for the table of experiments, and in a list, which it ignores, the details."""
    details = {
        "environment": environment(resolved_precision(precision)),
        "model_bytes": weights.stat().st_size,
        "train_windows": windows,
    }
    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "train_seconds": round(seconds, 1),
        "train_windows_per_second": round(windows / seconds, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "details": [details],
    }


def _batch_loss(start: Tensor, end: Tensor, batch: Batch) -> Tensor:
    return span_loss(start, end, batch["start_position"], batch["end_position"])


def _check_length(model: PreTrainedModel, longest: int) -> None:
    positions = max_positions(model)
    if positions is not None and longest > positions:
        raise RetuneError(
            f"qa.tokenize.max_length: windows are up to {longest} tokens long, the model has "
            f"{positions} positions; lower max_length"
        )
