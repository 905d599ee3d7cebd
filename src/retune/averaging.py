"""A running mean of a training's weights, which is evaluated and kept in their place.

Late steps walk around a better point than the one where the last of them ends (Polyak & Juditsky
1992); the mean of their weights, of which older ones fade, lies nearer to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from retune.errors import RetuneError
from retune.joint import JointTrainer
from retune.launch import SETTING

#: Of a checkpoint: the folder of the mean.
AVERAGE = "average"


class AveragingTrainer(JointTrainer):
    """`JointTrainer` that evaluates and keeps the running mean of the weights, if asked.

    Args:
        parts: as for `JointTrainer`.
        ema_decay: share of the mean that a step leaves as it was; 0: the weights are kept
            themselves. Of the first steps, n, it leaves no more than (1 + n) / (10 + n), for the
            mean begins at weights that are not trained.

    Raises:
        RetuneError: the weights are kept by DeepSpeed.
    """

    def __init__(self, *parts: Any, ema_decay: float) -> None:
        super().__init__(*parts)
        self.ema_decay = ema_decay
        if not ema_decay:
            return
        if self.is_deepspeed_enabled:
            raise self.refused("ema_decay", f"{SETTING} asks for DeepSpeed, which has weights of "
                               "its own", "set it to 0")  # fmt: skip
        self.means = [weight.detach().clone() for weight in self.inner.parameters()]
        self.add_callback(_EachStep(self))

    def kept(self, checkpoint: Path) -> Path:
        """The folder of the weights that were evaluated at `checkpoint`."""
        return checkpoint / AVERAGE if self.ema_decay else checkpoint

    @torch.no_grad()
    def update_means(self, step: int) -> None:
        """Take the weights after `step`, which counts from 1, into the mean."""
        decay = min(self.ema_decay, (1 + step) / (10 + step))
        for mean, weight in zip(self.means, self.inner.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """As `JointTrainer` does, but the mean."""
        with self._averaged():
            return super().evaluate(*arguments, **options)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As `Trainer` does, and the mean."""
        super().save_model(output_dir, _internal_call)
        if self.ema_decay:
            folder = self.kept(Path(output_dir or str(self.args.output_dir)))
            with self._averaged():
                self.inner.save_pretrained(folder, is_main_process=self.args.should_save)

    def refused(self, parameter: str, why: str, remedy: str) -> RetuneError:
        """The error that a `parameter` of the section cannot be had."""
        value = getattr(self, parameter)
        return RetuneError(
            f"{self.section}.{parameter} is {value}, there or by a variant, but {why}; {remedy}"
        )

    def _load_from_checkpoint(self, folder: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(folder, model)
        if self.ema_decay:
            with self._averaged():
                super()._load_from_checkpoint(str(self.kept(Path(folder))), model)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Have the mean for weights in the block; what is done to them is done to the mean."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        if self.ema_decay:
            for weight, mean in zip(self.inner.parameters(), self.means, strict=True):
                before = weight.clone()
                weight.copy_(mean)
                mean.copy_(before)


class _EachStep(TrainerCallback):
    def __init__(self, trainer: AveragingTrainer) -> None:
        self._trainer = trainer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._trainer.update_means(state.global_step)
