"""Stage `train`: fit one variant on the train windows, keep the epoch with the best F1.

Every variant has the same loss, the same evaluation and the same training loop
(transformers' `Trainer`); a variant only turns token ids into start and end logits. Several
processes (`retune.processes`) do the same steps as one: `batch_size` is that of all together.
"""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from accelerate.data_loader import prepare_data_loader
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback

from retune import bundles
from retune.checkpoints import WEIGHTS, CheckpointParams, load_tokenizer
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
from retune.resuming import Checkpoints, ResumableTrainer, run_key
from retune.seeding import random_state_kept, seed_everything
from retune.storage import atomic_path, remove, write_json
from retune.training import (
    Curves,
    OptimizationParams,
    distributed_launch,
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
    times: Path,
    *,
    build: Build,
    base: CheckpointParams,
    params: TrainParams,
    seed: int,
    squad_v2: bool,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Train the model that `build` makes; write it to `model_folder` in Hugging Face layout.

    What was trained on a frozen encoder is written as a bundle (`retune.bundles`) on `base`.

    With `settings`, which are all that the result depends on besides the sealed folders `raw` and
    `features`, a training that was killed goes on from its last checkpoint.
    """
    rows = read_rows(features / "train.arrow")
    tokenizer = load_tokenizer(features / "tokenizer")
    seed_everything(seed)  # before building: a new head is drawn at random
    model = build(vocabulary_size=len(tokenizer), pad_token_id=int(tokenizer.pad_token_id))
    model.config.name_or_path = ""  # a path of this machine has no place in the output
    _check_length(model, longest=int(np.max(rows["length"])))
    collator = Collator.for_model(model, tokenizer, resolved_precision(params.precision))
    work, logs = (model_folder.parent / name for name in ("checkpoints", "logs"))
    arguments = training_arguments(
        params, seed, work, logs, best_metric="f1", padded=not collator.packed
    )
    surroundings = environment(resolved_precision(params.precision), arguments.world_size)
    key = None
    if settings is not None:
        launch = distributed_launch(arguments)
        given = {"bundle": getattr(model.config, "bundle", None), "launch": launch}
        key = run_key({**settings, **given, "environment": surroundings}, raw, features)
    checkpoints = Checkpoints(work, key)
    begun = checkpoints.newest()
    if begun is None and arguments.should_save:
        remove(logs)  # of the run before
    prediction = PredictParams(params.eval_batch_size, params.precision)
    keep_freed_memory()
    use_fast_dropout(model)
    trainer = SpanTrainer(
        model,
        collator,
        rows,
        Evaluation(raw, features, prediction, params.evaluation, squad_v2),
        checkpoints,
        args=arguments,
        callbacks=training_callbacks(params, arguments, logs),
    )
    figures, details = _costs(model)
    end = trainer.train_to_the_end(begun)
    if not arguments.should_save:
        return ""  # the first process writes for all
    weights = _publish(model, checkpoints[end.best_step], base, tokenizer, model_folder)
    curves = Curves.of(end.state.log_history)
    curves.write(curves_folder)
    windows = round((end.state.epoch or 0) * len(rows))
    details |= {"model_bytes": weights.stat().st_size, "train_windows": windows}
    write_json(costs, {"qa": {**figures, "details": [details]}})
    taken = _times(windows, end.seconds, surroundings)
    write_json(times, {"qa": taken})
    checkpoints.remove()
    best = max(curves.validation, key=lambda row: row["f1"])
    return (
        f"best epoch {best['epoch']:.0f}: EM {best['exact_match']:.2f}, F1 {best['f1']:.2f}; "
        f"{taken['train_windows_per_second']:.1f} windows/s"
    )


class SpanTrainer(ResumableTrainer):
    """`Trainer` with the span loss, and real answers and scores at each evaluation."""

    def __init__(
        self,
        model: PreTrainedModel,
        collator: Collator,
        rows: "Dataset",
        evaluation: Evaluation,
        checkpoints: Checkpoints,
        **options: Any,
    ) -> None:
        super().__init__(
            model,
            data_collator=partial(collated, collator),
            train_dataset=rows,
            eval_dataset=evaluation.rows,
            checkpoints=checkpoints,
            **options,
        )
        self.rows = rows
        self.remove_callback(PrinterCallback)  # our own Progress speaks instead
        # With ZeRO-3 no process has whole weights: all have to go through each batch together.
        share = Share() if self._weights_are_shared_out() else self.share
        self.score = partial(evaluation, model, collator, share)
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
        penalty = getattr(self.model, "penalty", None)
        if penalty is not None:
            loss = loss + penalty()
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


def _publish(
    model: PreTrainedModel,
    checkpoint: Path,
    base: CheckpointParams,
    tokenizer: "PreTrainedTokenizerFast",
    target: Path,
) -> Path:
    """Make a model folder of a checkpoint's weights; return the file that has them."""
    require_finite(load_file(checkpoint / WEIGHTS))
    if bundles.is_bundle(model):
        bundles.publish(checkpoint, target, base, tokenizer)
        return target / bundles.FILE
    with atomic_path(target) as folder:
        folder.mkdir()
        for name in ("config.json", WEIGHTS):
            shutil.copyfile(checkpoint / name, folder / name)
        tokenizer.save_pretrained(folder)
    return target / WEIGHTS


def _costs(model: PreTrainedModel) -> tuple[dict[str, int], dict[str, int]]:
    """How many parameters there are, and how many bytes all of them would take as float32."""
    parameters = model.num_parameters()
    trained = model.num_parameters(only_trainable=True)
    figures = {"parameters": parameters, "trained_parameters": trained}
    return figures, {"full_model_bytes": 4 * parameters}


def _times(windows: int, seconds: float, surroundings: list[str]) -> dict[str, Any]:
    """What another run takes otherwise; in a list, which tables ignore, what that depends on."""
    return {
        "train_seconds": round(seconds, 1),
        "train_windows_per_second": round(windows / seconds, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "details": [{"environment": surroundings}],
    }


def _check_length(model: PreTrainedModel, longest: int) -> None:
    positions = max_positions(model)
    if positions is not None and longest > positions:
        raise RetuneError(
            f"qa.tokenize.max_length: windows are up to {longest} tokens long, the model has "
            f"{positions} positions; lower max_length"
        )
