"""Checkpoints from which a killed training resumes, with the result of an uninterrupted run.

DVC removes a stage's outputs before it runs, so checkpoints lie outside of them. Their folder is
named by everything that the training depends on, so that no other training finds them. A checkpoint
appears by rename after its manifest is written; an incomplete one is never used.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_callback import ExportableState

from retune.core import manifests
from retune.core.errors import RetuneError
from retune.core.files import flush, flush_entry, remove
from retune.core.terminal_text import say
from retune.processes.share import Share
from retune.training.arguments import Stopwatch

SETTING = "RETUNE_CHECKPOINT_SECONDS"
_SECONDS = 120.0

_TORCH_FULL = re.compile("unexpected pos|PytorchStreamWriter|file write failed|No space left")


class Checkpoints:
    """The checkpoints of one training, `checkpoint-<step>` in a folder of `work`.

    The folder is named by the training's `key`. Without a key, no training resumes from them.
    """

    def __init__(self, work: Path, key: str | None) -> None:
        self.folder = work / (key or "unnamed")
        self._named = key is not None

    def __getitem__(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step}"

    def newest(self) -> "Checkpoint | None":
        """The last complete one whose best checkpoint is complete, too."""
        return self._newest() if self._named else None

    def last(self) -> "Checkpoint":
        """The newest one, after the training."""
        checkpoint = self._newest()
        if checkpoint is None or not checkpoint.finished:
            raise RetuneError(
                f"{self.folder}: the last checkpoint is damaged; run again to resume "
                "from the one before"
            )
        return checkpoint

    def _newest(self) -> "Checkpoint | None":
        for step in sorted(self._steps(), reverse=True):
            try:
                checkpoint = Checkpoint(self[step])
                if checkpoint.best_step != step:
                    manifests.read(self[checkpoint.best_step])
                return checkpoint
            except RetuneError as error:
                say(f"the checkpoint of step {step} is not used: {error}", sys.stderr)
        return None

    @contextmanager
    def writing(
        self, step: int, about: Mapping[str, Any], *, first: bool, wait: Callable[[], None]
    ) -> Iterator[Path]:
        """Yield a folder to write the checkpoint of `step` into, and publish it at the end.

        All processes write into it, and each `wait`s for all. The `first` one then seals it, with
        `about` in its manifest.

        Raises:
            RetuneError: it cannot be written; earlier checkpoints are untouched.
        """
        partial = self.folder / f"{self[step].name}.partial"
        with self._room(step, partial if first else None):
            partial.mkdir(parents=True, exist_ok=True)
            yield partial
        wait()
        if first:
            with self._room(step, partial):
                manifests.seal(partial, about)
                flush(partial)
                os.replace(partial, self[step])
                flush_entry(self.folder)
        wait()

    @contextmanager
    def _room(self, step: int, partial: Path | None) -> Iterator[None]:
        """Explain what could not be written, and free the space of `partial`."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:
            # torch and safetensors have their own messages for a full disk.
            if isinstance(error, RuntimeError) and not _TORCH_FULL.search(str(error)):
                raise
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)  # others may still write there
            free = shutil.disk_usage(self.folder).free / 1e6
            raise RetuneError(
                f"{self.folder}: cannot write the checkpoint of step {step} ({error}); "
                f"{free:,.0f} MB are free there. Make room and run again to resume from the "
                "checkpoint before"
            ) from None

    def keep(self, *steps: int | None) -> None:
        """Remove all but the checkpoints of `steps`."""
        kept = {self[step] for step in steps if step is not None}
        for path in set(self.folder.glob("checkpoint-*")) - kept:
            remove(path)

    def remove(self) -> None:
        """Remove them all."""
        remove(self.folder)

    def _steps(self) -> list[int]:
        names = (path.name.removeprefix("checkpoint-") for path in self.folder.glob("checkpoint-*"))
        return [int(name) for name in names if name.isdecimal()]


class Checkpoint:
    """A complete checkpoint and the training state in it."""

    def __init__(self, path: Path) -> None:
        self._manifest = manifests.read(path)
        self.path = path
        self.state: TrainerState = TrainerState.load_from_json(str(path / TRAINER_STATE_NAME))

    @property
    def best_step(self) -> int:
        """The step of the best evaluation so far; before the first evaluation, this step."""
        return self.state.best_global_step or self.state.global_step

    @property
    def seconds(self) -> float:
        """How long the training took up to here."""
        seconds: float = self._manifest["seconds"]
        return seconds

    @property
    def finished(self) -> bool:
        """Whether the training had ended: all steps were done, or it was stopped early."""
        states = cast(dict[str, Any], self.state.stateful_callbacks)
        stopped: bool = states["TrainerControl"]["args"]["should_training_stop"]
        return stopped or self.state.global_step >= self.state.max_steps


class ResumableTrainer(Trainer):
    """`Trainer` that resumes from one of `checkpoints`, in several processes together."""

    def __init__(
        self, model: PreTrainedModel, *, checkpoints: Checkpoints, section: str, **options: Any
    ) -> None:
        super().__init__(model, **options)
        self.inner = model  # `self.model` may be of other types
        self.checkpoints, self.section = checkpoints, section
        self.share = Share(self.args.process_index, self.args.world_size)
        self.stopwatch = Stopwatch()
        self.add_callback(CheckpointRhythm(lambda due: bool(self.share.gathered(due)[0])))

    def train_to_the_end(self, begun: Checkpoint | None) -> Checkpoint:
        """Train from `begun`, or from the start; return the last checkpoint.

        Processes begin and end together, so that none changes files that another still needs.
        """
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            kept = (begun.state.global_step, begun.best_step) if begun else ()
            self.checkpoints.keep(*kept)
        if begun is not None:
            self.stopwatch = Stopwatch(begun.seconds)
            print(f"resuming from step {begun.state.global_step}", file=sys.stderr)
        if begun is None or not begun.finished:
            self.train(resume_from_checkpoint=str(begun.path) if begun else None)
        end = self.checkpoints.last()
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return end

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *rest: Any) -> Tensor:
        """Do one step; explain an exhausted GPU memory."""
        try:
            return super().training_step(model, inputs, *rest)
        except torch.OutOfMemoryError:
            shape = "x".join(map(str, inputs["input_ids"].shape))
            raise RetuneError(
                f"the GPU's memory ran out in step {self.state.global_step + 1}, with {shape} "
                f"tokens; lower {self.section}.batch_size and raise its gradient_accumulation by "
                "the same factor: the steps stay the same"
            ) from None

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save as `Trainer` does, but atomically, and without what names this machine."""
        self.stopwatch.pause()
        step, first = self.state.global_step, self.args.should_save
        about, wait = {"seconds": self.stopwatch.seconds}, self.accelerator.wait_for_everyone
        with self.checkpoints.writing(step, about, first=first, wait=wait) as folder:
            self.save_model(str(folder), _internal_call=True)
            self._save_optimizer_and_scheduler(str(folder))
            self._save_scaler(str(folder))
            self._save_rng_state(str(folder))
            if first:
                self._save_state(folder)
        if first:
            self.checkpoints.keep(step, self.state.best_global_step)
        self.stopwatch.resume()

    def _save_state(self, folder: Path) -> None:
        states = cast(dict[str, Any], self.state.stateful_callbacks)
        for part in [*self.callback_handler.callbacks, self.control]:
            if isinstance(part, ExportableState):
                states[type(part).__name__] = part.state()
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        remove(folder / TRAINING_ARGS_NAME)


class CheckpointRhythm(TrainerCallback):
    """Asks for a checkpoint every `RETUNE_CHECKPOINT_SECONDS`, and after each epoch.

    A checkpoint does not hold the loss since the last row of the training curve, so one is taken
    only after a row is written. For the same reason a row is written at the end of an epoch, and
    the epoch's last step is saved only after the evaluation.

    Args:
        decide: turns the decision of a process into that of the first process.
        clock: seconds.
    """

    def __init__(
        self, decide: Callable[[bool], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = checkpoint_seconds()
        self._decide = decide
        self._clock = clock
        self._last = clock()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for a checkpoint if one is due."""
        if control.should_log and not float(state.epoch or 0).is_integer():
            due = self._clock() - self._last >= self._seconds
            control.should_save = self._decide(due)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for a row of the curve before the checkpoint of the epoch."""
        control.should_log = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Restart the clock."""
        self._last = self._clock()


def checkpoint_seconds() -> float:
    """The seconds between checkpoints, and so the most that a kill loses.

    Raises:
        RetuneError: RETUNE_CHECKPOINT_SECONDS is not a number of seconds.
    """
    text = os.environ.get(SETTING, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise RetuneError(f"{SETTING} is {text!r}; expected seconds, such as 300, or 0")
    return seconds
