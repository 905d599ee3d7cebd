"""Stage `train`: fit one variant on the train windows, keep the epoch with the best F1.

Every variant has the same loss, the same evaluation and the same training loop
(transformers' `Trainer`); a variant only turns token ids into start and end logits. Several
processes (`retune.processes`) do the same steps as one: `batch_size` is that of all together.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer

from retune.checkpoints import load_tokenizer
from retune.errors import RetuneError
from retune.layers.dropout import use_fast_dropout
from retune.memory import keep_freed_memory, peak_memory_mb
from retune.params import STRICT
from retune.precision import resolved_precision
from retune.processes import JointBatches, Share
from retune.qa.batches import ANSWER, Batch, Collator, span_logits
from retune.qa.evaluation import Evaluation, EvaluationParams, batch_loss
from retune.qa.features import read_rows
from retune.qa.models import max_positions
from retune.qa.predict import PredictParams
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
    collator = Collator.for_model(model, tokenizer, resolved_precision(params.precision))
    arguments = training_arguments(
        params, seed, work, logs, best_metric="f1", padded=not collator.packed
    )
    if arguments.should_save:
        remove(work)
        remove(logs)  # of the run before
    prediction = PredictParams(params.eval_batch_size, params.precision)
    curves = Curves()
    keep_freed_memory()
    use_fast_dropout(model)
    trainer = SpanTrainer(
        model,
        collator,
        rows,
        Evaluation(raw, features, prediction, params.evaluation, squad_v2),
        args=arguments,
        callbacks=training_callbacks(params, arguments, logs, curves),
    )
    parameters = model.num_parameters()
    trainer.train()
    seconds = trainer.stopwatch.seconds
    weights = trainer.whole_weights()
    trainer.leave()
    if not arguments.should_save:
        return ""  # the first process writes for all
    require_finite(weights)
    _save(model, weights, tokenizer, model_folder)
    remove(work)
    curves.write(curves_folder)
    figures = _costs(
        model_folder / "model.safetensors",
        parameters=parameters,
        windows=round((trainer.state.epoch or 0) * len(rows)),
        seconds=seconds,
        surroundings=environment(resolved_precision(params.precision), arguments.world_size),
    )
    write_json(costs, {"qa": figures})
    best = max(curves.validation, key=lambda row: row["f1"])
    return (
        f"best epoch {best['epoch']:.0f}: EM {best['exact_match']:.2f}, F1 {best['f1']:.2f}; "
        f"{figures['train_windows_per_second']:.1f} windows/s"
    )


class SpanTrainer(Trainer):
    """`Trainer` with the span loss, and real answers and scores at each evaluation."""

    def __init__(
        self,
        model: PreTrainedModel,
        collator: Collator,
        rows: "Dataset",
        evaluation: Evaluation,
        **options: Any,
    ) -> None:
        super().__init__(
            model,
            data_collator=partial(collated, collator),
            train_dataset=rows,
            eval_dataset=evaluation.rows,
            **options,
        )
        self.rows = rows
        self.remove_callback(PrinterCallback)  # our own Progress speaks instead
        self.share = Share(self.args.process_index, self.args.world_size)
        # With ZeRO-3 no process has whole weights: all have to go through each batch together.
        share = Share() if self._weights_are_shared_out() else self.share
        self.score = partial(evaluation, model, collator, share)
        self.stopwatch = Stopwatch()
        # Like weights for all from here, but each process drops out what it likes.
        seed_everything(self.args.seed + self.share.index)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process: its share of the joint ones."""
        args = self.args
        size = args.per_device_train_batch_size * self.share.count
        grouped = args.train_sampling_strategy == "group_by_length"
        batches = JointBatches(
            np.asarray(self.rows["length"]).tolist(),
            size,
            args.seed,
            self.share,
            group=size * args.gradient_accumulation_steps if grouped else None,
        )
        loader: DataLoader[Any] = DataLoader(
            self.rows,
            batch_sampler=batches,
            collate_fn=self.data_collator,
            pin_memory=args.dataloader_pin_memory,
        )
        # Shared out already: accelerate's own way would repeat windows to fill the last batch.
        return cast(DataLoader[Any], prepare_data_loader(loader, num_processes=1))

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        """Span loss of a joint batch, as this process sees it; stops where it is no number.

        The mean of what the processes see, which is what their gradients are brought to, is
        the loss of the joint batch, whatever their shares of it.
        """
        start, end = span_logits(model, inputs)
        loss = batch_loss(start, end, inputs, self._joint_counts) * self.share.count
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

    def whole_weights(self) -> dict[str, Tensor]:
        """The weights by name, on every process, wherever they are kept."""
        owner = self.model_wrapped if self.is_deepspeed_enabled else self.model
        weights: dict[str, Tensor] = self.accelerator.get_state_dict(owner)
        return weights

    def leave(self) -> None:
        """End the work together, once all are here: none may need the first's files any more."""
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def _joint_counts(self, counts: Tensor) -> Tensor:
        if self.share.count == 1:
            return counts
        return self.accelerator.reduce(counts, reduction="sum")  # type: ignore[no-any-return]

    def _weights_are_shared_out(self) -> bool:
        return self.is_deepspeed_enabled and self.accelerator.deepspeed_plugin.zero_stage == 3


def collated(collator: Collator, windows: Sequence[Any]) -> Batch:
    """The batch of `windows`; of none, a batch with one whose answer counts for nothing."""
    if windows:
        return collator(windows)
    batch = collator([{"input_ids": [0], "token_type_ids": [0], **dict.fromkeys(ANSWER, 0)}])
    return batch | {name: torch.tensor([-1]) for name in ANSWER}


def _save(
    model: PreTrainedModel,
    weights: dict[str, Tensor],
    tokenizer: "PreTrainedTokenizerFast",
    target: Path,
) -> None:
    with atomic_path(target) as folder:
        model.config.name_or_path = ""  # a path of this machine has no place in the output
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)


def _costs(
    weights: Path, parameters: int, windows: int, seconds: float, surroundings: list[str]
) -> dict[str, Any]:
    """Figures for the table of experiments, and in a list, which it ignores, the details."""
    details = {
        "environment": surroundings,
        "model_bytes": weights.stat().st_size,
        "train_windows": windows,
    }
    return {
        "parameters": parameters,
        "train_seconds": round(seconds, 1),
        "train_windows_per_second": round(windows / seconds, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "details": [details],
    }


def _check_length(model: PreTrainedModel, longest: int) -> None:
    positions = max_positions(model)
    if positions is not None and longest > positions:
        raise RetuneError(
            f"qa.tokenize.max_length: windows are up to {longest} tokens long, the model has "
            f"{positions} positions; lower max_length"
        )
