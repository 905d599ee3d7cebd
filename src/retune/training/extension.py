"""What may be added to a training without a trainer class of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn
from transformers import TrainerCallback

from retune.models.batches import Batch

if TYPE_CHECKING:
    from retune.training.resume import ResumableTrainer


class Extension(TrainerCallback):
    """A callback that can also wrap steps, evaluations and checkpoints.

    Override the methods that you need; the others leave the training unchanged.
    """

    def attach(self, trainer: "ResumableTrainer") -> None:
        """Prepare for `trainer`, whose model is on its device; raise if this cannot work."""

    def training_step(self, model: nn.Module, inputs: Batch, step: Callable[[], Tensor]) -> Tensor:
        """Run `step`, which adds the gradients of `inputs`, and return the loss to log."""
        return step()

    def evaluated(self) -> AbstractContextManager[None]:
        """Evaluate the model in this context."""
        return nullcontext()

    def save(self, checkpoint: Path) -> None:
        """Add to a `checkpoint`, which has the model."""

    def load(self, checkpoint: Path, load_model: Callable[[str], None]) -> None:
        """Resume from a `checkpoint`; `load_model` loads the weights of a folder."""

    def published(self, checkpoint: Path) -> Path:
        """Return the folder in `checkpoint` that has the weights to publish."""
        return checkpoint
