"""An exponential moving average (EMA) of the weights, evaluated and published instead of them.

The last steps move around a good point. An average of the weights is closer to it than the last
step (Polyak & Juditsky 1992, who weigh all steps equally). An exponential average forgets the first
steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from retune.processes.launch import SETTING
from retune.training.arguments import cannot_use
from retune.training.extension import Extension

if TYPE_CHECKING:
    from retune.training.resume import ResumableTrainer

_AVERAGE = "average"  # the folder of the average in a checkpoint


class WeightAverage(Extension):
    """Evaluates and publishes the average of the weights.

    Args:
        decay: the share of the average that a step keeps. In step n, from 1, it is at most
            (1 + n) / (10 + n), because the average begins at the weights before the first step.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def attach(self, trainer: "ResumableTrainer") -> None:
        """Begin the average.

        Raises:
            RetuneError: DeepSpeed holds the weights.
        """
        if trainer.is_deepspeed_enabled:
            raise cannot_use(
                f"{trainer.section}.ema_decay",
                self.decay,
                f"{SETTING} asks for DeepSpeed, which has weights of its own",
                "launch without DeepSpeed",
            )
        self.model = trainer.inner
        self.average = [weight.detach().clone() for weight in self.model.parameters()]

    @torch.no_grad()
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Update the average by the weights after a step."""
        step = state.global_step
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, weight in zip(self.average, self.model.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Swap the average into the model, and back at the end."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def save(self, checkpoint: Path) -> None:
        """Save the average beside the weights."""
        with self.evaluated():
            self.model.save_pretrained(self.published(checkpoint))

    def load(self, checkpoint: Path, load_model: Callable[[str], None]) -> None:
        """Load the average."""
        with self.evaluated():
            load_model(str(self.published(checkpoint)))

    def published(self, checkpoint: Path) -> Path:
        """Return the folder of the average."""
        return checkpoint / _AVERAGE

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self.model.parameters(), self.average, strict=True):
            before = weight.clone()
            weight.copy_(average)
            average.copy_(before)
