"""A training as each task does it: set up to be gone on from, and done by processes together.

A task brings its model, its batches, its loss and its evaluation; all else is the same, so that
what is proved of one training (`tests/faults`) holds for all.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from accelerate.data_loader import prepare_data_loader
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, TrainingArguments

from retune.core.errors import RetuneError
from retune.core.files import atomic_path, remove, write_json
from retune.core.memory import keep_freed_memory, peak_memory_mb
from retune.models.checkpoints import WEIGHTS
from retune.models.dropout import use_fast_dropout
from retune.models.precision import resolved_precision
from retune.training.arguments import (
    Curves,
    OptimizationParams,
    distributed_launch,
    environment,
    require_finite,
    training_arguments,
    training_callbacks,
)
from retune.training.distributed import JointBatches, Share
from retune.training.launch import SETTING
from retune.training.resume import Checkpoint, Checkpoints, ResumableTrainer, run_key
from retune.training.seeding import random_state_kept, seed_everything

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Setup(NamedTuple):
    """What a training runs by, keeps its state in and goes on from."""

    params: OptimizationParams
    arguments: TrainingArguments
    surroundings: list[str]
    checkpoints: Checkpoints
    begun: Checkpoint | None
    logs: Path

    @classmethod
    def of(
        cls,
        params: OptimizationParams,
        seed: int,
        folder: Path,
        settings: Mapping[str, Any] | None,
        reads: Sequence[Path],
        *,
        best_metric: str,
        padded: bool,
    ) -> "Setup":
        """The setup of a training whose result goes to `folder`; its state is kept beside that.

        With `settings`, which are all that the result depends on besides the sealed folders
        `reads`, it goes on from the last checkpoint of a training that was killed. The others as
        for `training_arguments`.
        """
        work, logs = (folder.parent / name for name in ("checkpoints", "logs"))
        arguments = training_arguments(
            params, seed, work, logs, best_metric=best_metric, padded=padded
        )
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
    """`Trainer` of joint batches, with an evaluation of the task's own after each epoch.

    Args:
        model: to train, on the CPU. Where its attribute `encoder_is_frozen` is true, ZeRO-3 is
            refused.
        rows: what is trained on, by index.
        lengths: of the `rows`, in tokens.
        collate: makes a batch of some rows; of none, one that counts for nothing.
        score: evaluates what a process has its share of, to figures that are the same in all.
        setup: of the training.

    Raises:
        RetuneError: ZeRO-3 with a frozen encoder.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        rows: Any,
        lengths: list[int],
        collate: Callable[[Sequence[Any]], dict[str, Any]],
        score: Callable[[Share], dict[str, float]],
        setup: Setup,
    ) -> None:
        model.config.name_or_path = ""  # a path of this machine has no place in the output
        keep_freed_memory()
        use_fast_dropout(model)
        super().__init__(
            model,
            args=setup.arguments,
            data_collator=collate,
            train_dataset=rows,
            eval_dataset=rows,  # `Trainer` asks for some; `score` knows its own
            checkpoints=setup.checkpoints,
            section=setup.params.section,
            callbacks=training_callbacks(setup.params, setup.arguments, setup.logs),
        )
        if self._weights_are_shared_out() and getattr(model, "encoder_is_frozen", False):
            # A penalty would be that of no weights, and what is read of `model` in the end, too.
            raise RetuneError(
                f"{SETTING}: ZeRO-3 shares out the weights, which no training on a frozen encoder "
                "is made for; use --config_file configs/launch/zero2.yaml"
            )
        # Else `Trainer` would add up the losses of accumulated parts that have `labels`.
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)  # our own Progress speaks instead
        self.rows, self.inner = rows, model  # `self.model` may be of other types
        self.sizes = parameter_counts(model)  # before weights are shared out
        args = self.args
        size = args.per_device_train_batch_size * self.share.count
        grouped = args.train_sampling_strategy == "group_by_length"
        self.batches = JointBatches(lengths, size, args.seed, self.share, grouped=grouped)
        # With ZeRO-3 no process has whole weights: all have to go through each batch together.
        share = Share() if self._weights_are_shared_out() else self.share
        self.score = partial(score, share)
        # Like weights for all from here, but each process drops out what it likes.
        seed_everything(args.seed + self.share.index)

    def loss_share(self, model: nn.Module, inputs: dict[str, Any], joint: Tensor) -> Tensor:
        """Return what the part `inputs` adds to the loss of the joint batch.

        `joint` is the sum of `counts` over all parts of that batch.
        """
        raise NotImplementedError

    def counts(self, inputs: dict[str, Any]) -> Tensor:
        """Count what the loss of `inputs`, a part of a joint batch, is a mean over."""
        raise NotImplementedError

    def get_batch_samples(self, *arguments: Any) -> tuple[list[dict[str, Any]], Any]:
        """Return the parts of the next joint batch that this process reads, one after another.

        What all processes read for that step is counted here, before its first part is trained
        on, so that each text weighs the same whichever part it is in.
        """
        parts, items = super().get_batch_samples(*arguments)
        if parts:
            count = torch.stack([self.counts(part) for part in parts]).sum(0)
            self._joint = self._over_processes(count.to(self.args.device))
        return parts, items

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process: its share of the joint ones."""
        loader: DataLoader[Any] = DataLoader(
            self.rows,
            batch_sampler=self.batches,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        # Shared out already: accelerate's own way would repeat rows to fill the last batch.
        return cast(DataLoader[Any], prepare_data_loader(loader, num_processes=1))

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> Tensor:
        """Loss of a joint batch, as this process sees it; stops where it is no number.

        DDP averages the gradients of the processes, and `Trainer` those of accumulated parts. So
        each share is multiplied by how many there are: the average is then the loss of the joint
        batch, however uneven its parts. A model may have a `penalty`, which is added to the loss.
        """
        shares = self.share.count * self.current_gradient_accumulation_steps
        loss = self.loss_share(model, inputs, self._joint) * shares
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

    def _over_processes(self, counts: Tensor) -> Tensor:
        """Return the sum of `counts` over the processes."""
        if self.share.count == 1:
            return counts
        return self.accelerator.reduce(counts, reduction="sum")  # type: ignore[no-any-return]

    def _weights_are_shared_out(self) -> bool:
        return self.is_deepspeed_enabled and self.accelerator.deepspeed_plugin.zero_stage == 3


class Reports(NamedTuple):
    """Where a training tells its curves (a folder), its costs and its times."""

    curves: Path
    costs: Path
    times: Path


def publish_model(
    checkpoint: Path, target: Path, tokenizer: "PreTrainedTokenizerFast", section: str
) -> Path:
    """Make a model folder of a checkpoint's weights; return the file that has them.

    Raises:
        RetuneError: a weight is not a number; `section` of the params is to be changed.
    """
    require_finite(load_file(checkpoint / WEIGHTS), section)
    with atomic_path(target) as folder:
        folder.mkdir(parents=True)
        for name in ("config.json", WEIGHTS):
            shutil.copyfile(checkpoint / name, folder / name)
        tokenizer.save_pretrained(folder)
    return target / WEIGHTS


def write_reports(
    reports: Reports,
    trainer: JointTrainer,
    setup: Setup,
    end: Checkpoint,
    *,
    unit: str,
    details: Mapping[str, int],
) -> tuple[Curves, dict[str, Any]]:
    """Write the curves, the costs and the times of a training.

    Args:
        reports: where to.
        trainer: which has done it.
        setup: which it was done by.
        end: its last checkpoint.
        unit: what a row is.
        details: more of what it has cost.

    Returns:
        the curves, and the times.
    """
    curves = Curves.of(end.state.log_history)
    curves.write(reports.curves)
    count = round((end.state.epoch or 0) * len(trainer.rows))
    costs = {**trainer.sizes, **details, f"train_{unit}": count}
    times = times_of(count, unit, end.seconds, setup.surroundings)
    for path, figures in ((reports.costs, costs), (reports.times, times)):
        # In a list, which is no column of DVC's tables: those begin with the scores.
        write_json(path, _below(setup.params.section, {"details": [figures]}))
    return curves, times


def _below(section: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Figures under the task whose training has a `section`: `qa.train`, `adapters.entities`."""
    task, name = section.split(".")
    return {task: figures if name == "train" else {name: figures}}


def parameter_counts(model: PreTrainedModel) -> dict[str, int]:
    """How many parameters a model has, and how many of them are trained."""
    trained = model.num_parameters(only_trainable=True)
    return {"parameters": model.num_parameters(), "trained_parameters": trained}


def times_of(count: int, unit: str, seconds: float, surroundings: list[str]) -> dict[str, Any]:
    """What another run takes otherwise, and the environment that it depends on."""
    return {
        "train_seconds": round(seconds, 1),
        f"train_{unit}_per_second": round(count / seconds, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "environment": surroundings,
    }
