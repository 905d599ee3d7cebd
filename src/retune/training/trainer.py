"""The one trainer: joint batches, shared out over processes, and trainings that resume.

A task brings its model, batches, loss and evaluation; everything else is the same for all tasks, so
what the tests prove of one training (`tests/faults`) holds for each.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from accelerate.data_loader import prepare_data_loader
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, TrainingArguments

from retune.core.errors import RetuneError
from retune.core.files import remove
from retune.core.memory import keep_freed_memory
from retune.models.batches import Batch
from retune.models.dropout import use_fast_dropout
from retune.models.precision import resolved_precision
from retune.processes.launch import SETTING
from retune.processes.share import Share
from retune.training.arguments import (
    OptimizationParams,
    distributed_launch,
    environment,
    training_arguments,
    training_callbacks,
)
from retune.training.distributed import JointBatches
from retune.training.extension import Extension
from retune.training.resume import Checkpoint, Checkpoints, ResumableTrainer
from retune.training.run_key import run_key
from retune.training.seeding import random_state_kept, seed_everything

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class TrainingTask:
    """What a task brings to its training.

    Attributes:
        model: to train, on the CPU. Where its attribute `encoder_is_frozen` is true, ZeRO-3 is
            refused.
        tokenizer: published with the model.
        rows: to train on, by index.
        lengths: of the rows, in tokens.
        collate: makes the batch of some rows in an epoch, from 0. The batch of no rows must count
            for nothing.
        loss: what a part of a joint batch adds to the loss of the whole. Its arguments are the
            model, the part, and the sum of `count` over all parts.
        count: what the loss is a mean over, counted in a part of a joint batch.
        evaluate: scores a process's share of the validation split; all processes get the same
            scores, those of the whole split. None if there is no such split.
        unit: what the rows are called in costs and times.
        best_metric: the score that is highest in the best epoch, or "loss", which is lowest. None
            keeps the last epoch.
        padded: whether batches are padded; rows of similar length then go together.
        extensions: of the training.
    """

    model: PreTrainedModel
    tokenizer: "PreTrainedTokenizerFast"
    rows: Any
    lengths: list[int]
    collate: Callable[[Sequence[Any], int], Batch]
    loss: Callable[[nn.Module, Batch, Tensor], Tensor]
    count: Callable[[Batch], Tensor]
    evaluate: Callable[[Share], dict[str, float]] | None
    unit: str
    best_metric: str | None
    padded: bool
    extensions: Sequence[Extension] = ()


class Setup(NamedTuple):
    """The settings of a training, and where it keeps its state."""

    params: OptimizationParams
    arguments: TrainingArguments
    surroundings: list[str]
    checkpoints: Checkpoints
    begun: Checkpoint | None
    logs: Path

    @classmethod
    def of(
        cls,
        task: TrainingTask,
        params: OptimizationParams,
        seed: int,
        folder: Path,
        settings: Mapping[str, Any] | None,
        reads: Sequence[Path],
    ) -> "Setup":
        """The setup of a training that publishes to `folder` and keeps its state beside it.

        With `settings`, the training resumes from the last checkpoint of a killed one. They and
        the sealed folders `reads` must be all that the result depends on.
        """
        work, logs = (folder.parent / name for name in ("checkpoints", "logs"))
        arguments = training_arguments(
            params, seed, work, logs, best_metric=task.best_metric, padded=task.padded,
            evaluated=task.evaluate is not None,
        )  # fmt: skip
        surroundings = environment(resolved_precision(params.precision), arguments.world_size)
        key = None
        if settings is not None:
            launch = distributed_launch(arguments)
            key = run_key({**settings, "environment": surroundings, "launch": launch}, *reads)
        checkpoints = Checkpoints(work, key)
        begun = checkpoints.newest()
        if begun is None and arguments.should_save:
            remove(logs)  # of the run before
        return cls(params, arguments, surroundings, checkpoints, begun, logs)


class JointTrainer(ResumableTrainer):
    """`Trainer` of a task, with joint batches.

    Raises:
        RetuneError: ZeRO-3 with a frozen encoder, or an extension that cannot work here.
    """

    def __init__(self, task: TrainingTask, setup: Setup) -> None:
        model = task.model
        model.config.name_or_path = ""  # outputs must not name paths of this machine
        keep_freed_memory()
        use_fast_dropout(model)
        super().__init__(
            model,
            args=setup.arguments,
            data_collator=self._collate,
            train_dataset=task.rows,
            eval_dataset=task.rows,  # required by `Trainer`, and not read: see `evaluate`
            checkpoints=setup.checkpoints,
            section=setup.params.section,
            callbacks=training_callbacks(setup.params, setup.arguments, setup.logs),
        )
        if self._weights_are_shared_out() and getattr(model, "encoder_is_frozen", False):
            # A penalty would see no weights, and neither would code that reads `model` at the end.
            raise RetuneError(
                f"{SETTING}: ZeRO-3 partitions the weights, which training on a frozen encoder "
                "does not support; use --config_file configs/launch/zero2.yaml"
            )
        # Otherwise `Trainer` would add up the losses of accumulated parts that have `labels`.
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)  # `Progress` reports instead
        self.task = task
        self.sizes = parameter_counts(model)  # before weights are shared out
        args = self.args
        size = args.per_device_train_batch_size * self.share.count
        grouped = args.train_sampling_strategy == "group_by_length"
        self.batches = JointBatches(task.lengths, size, args.seed, self.share, grouped=grouped)
        # With ZeRO-3 no process has whole weights: all have to go through each batch together.
        share = Share() if self._weights_are_shared_out() else self.share
        self.score = partial(task.evaluate or _no_scores, share)
        # From here on the weights are alike, but each process draws its own dropout.
        seed_everything(args.seed + self.share.index)
        for extension in task.extensions:
            extension.attach(self)
            self.add_callback(extension)

    def get_batch_samples(self, *arguments: Any) -> tuple[list[dict[str, Any]], Any]:
        """Return the parts of the next joint batch that this process reads one after another.

        They are counted here, over all processes and before the first part is trained on, so that
        each text weighs the same whichever part it is in.
        """
        parts, items = super().get_batch_samples(*arguments)
        if parts:
            count = torch.stack([self.task.count(part) for part in parts]).sum(0)
            self._joint = self._over_processes(count.to(self.args.device))
        return parts, items

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process: its share of the joint ones."""
        loader: DataLoader[Any] = DataLoader(
            self.task.rows,
            batch_sampler=self.batches,
            collate_fn=self._collate,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # The batches are shared out already; accelerate would repeat rows to fill the last one.
        return cast(DataLoader[Any], prepare_data_loader(loader, num_processes=1))

    def training_step(self, model: nn.Module, inputs: Batch, *rest: Any) -> Tensor:
        """Add the gradients of a part of a joint batch, as the extensions wish."""
        step = partial(super().training_step, model, inputs, *rest)
        for extension in self.task.extensions:
            step = partial(extension.training_step, model, inputs, step)
        return step()

    def compute_loss(self, model: nn.Module, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        """Return this process's part of the loss of a joint batch; raise if it is not finite.

        DDP averages the gradients of the processes, and `Trainer` those of accumulated parts, so
        each part is multiplied by their number. The average is then the loss of the joint batch,
        however uneven the parts are. A model's `penalty`, if any, is added to the loss.
        """
        shares = self.share.count * self.current_gradient_accumulation_steps
        loss = self.task.loss(model, inputs, self._joint) * shares
        penalty = getattr(self.inner, "penalty", None)
        if penalty is not None:
            loss = loss + penalty()
        if not torch.isfinite(loss):
            raise RetuneError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1} (learning rate "
                f"{self._get_learning_rate():.2g}); lower {self.section}.lr or set precision to "
                "fp32"
            )
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Score the validation split; random generators keep their states."""
        self.stopwatch.pause()
        with random_state_kept(), ExitStack() as contexts:
            for extension in self.task.extensions:
                contexts.enter_context(extension.evaluated())
            scores = self.score()
        metrics = {f"eval_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        self.stopwatch.resume()
        return metrics

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model, and what the extensions keep with it."""
        super().save_model(output_dir, _internal_call)
        if self.args.should_save:
            for extension in self.task.extensions:
                extension.save(Path(output_dir or str(self.args.output_dir)))

    def _load_from_checkpoint(self, folder: str, model: nn.Module | None = None) -> None:
        load = partial(super()._load_from_checkpoint, model=model)
        load(folder)
        for extension in self.task.extensions:
            extension.load(Path(folder), load)

    def _collate(self, rows: Sequence[Any]) -> Batch:
        return self.task.collate(rows, self.batches.epoch)

    def _over_processes(self, counts: Tensor) -> Tensor:
        """Return the sum of `counts` over the processes."""
        if self.share.count == 1:
            return counts
        return self.accelerator.reduce(counts, reduction="sum")  # type: ignore[no-any-return]

    def _weights_are_shared_out(self) -> bool:
        return self.is_deepspeed_enabled and self.accelerator.deepspeed_plugin.zero_stage == 3


def _no_scores(_share: Share) -> dict[str, float]:
    """Return the scores of a training that is not evaluated."""
    return {}


def parameter_counts(model: PreTrainedModel) -> dict[str, int]:
    """The number of a model's parameters, and of those that are trained."""
    trained = model.num_parameters(only_trainable=True)
    return {"parameters": model.num_parameters(), "trained_parameters": trained}
