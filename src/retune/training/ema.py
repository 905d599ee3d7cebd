"""An exponential moving average (EMA) of a training's weights, evaluated and kept in their place.

Late steps walk around a point that is better than where the last of them ends. An average of the
weights lies nearer to it (Polyak & Juditsky 1992, who average equally); of one that fades, the
first steps weigh nothing in the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from retune.training.arguments import cannot_use
from retune.training.launch import SETTING
from retune.training.trainer import JointTrainer

_AVERAGE = "average"  # of a checkpoint, the folder of the average


class AveragingTrainer(JointTrainer):
    """`JointTrainer` that evaluates and keeps the average of the weights, if asked.

    Args:
        parts: as for `JointTrainer`.
        ema_decay: share of the average that a step leaves as it was; in step n, from 1, at most
            (1 + n) / (10 + n), for the average begins at weights from before the first step. 0:
            the weights themselves are kept.

    Raises:
        RetuneError: the weights are DeepSpeed's.
    """

    def __init__(self, *parts: Any, ema_decay: float) -> None:
        super().__init__(*parts)
        self.ema_decay = ema_decay
        if not ema_decay:
            return
        if self.is_deepspeed_enabled:
            raise cannot_use(
                f"{self.section}.ema_decay",
                ema_decay,
                f"{SETTING} asks for DeepSpeed, which has weights of its own",
                "launch without DeepSpeed",
            )
        self.average = [weight.detach().clone() for weight in self.inner.parameters()]
        self.add_callback(_EachStep(self))

    def to_publish(self, checkpoint: Path) -> Path:
        """The folder of the weights in `checkpoint` that stand for the training."""
        return checkpoint / _AVERAGE if self.ema_decay else checkpoint

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Take in the weights after `step`, which counts from 1."""
        decay = min(self.ema_decay, (1 + step) / (10 + step))
        for average, weight in zip(self.average, self.inner.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)

    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        """As `JointTrainer` does, but the average."""
        with self._averaged():
            return super().evaluate(*arguments, **options)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """As `Trainer` does, and the average."""
        super().save_model(output_dir, _internal_call)
        if self.ema_decay and self.args.should_save:
            with self._averaged():
                folder = Path(output_dir or str(self.args.output_dir))
                self.inner.save_pretrained(self.to_publish(folder))

    def _load_from_checkpoint(self, folder: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(folder, model)
        if self.ema_decay:
            with self._averaged():
                super()._load_from_checkpoint(str(self.to_publish(Path(folder))), model)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Have the average for weights in the block; what is done to them is done to it."""
        if not self.ema_decay:
            yield
            return
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for weight, average in zip(self.inner.parameters(), self.average, strict=True):
            before = weight.clone()
            weight.copy_(average)
            average.copy_(before)


class _EachStep(TrainerCallback):
    def __init__(self, trainer: AveragingTrainer) -> None:
        self._trainer = trainer

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._trainer.update_average(state.global_step)
