"""Adversarial perturbations of embeddings (Miyato et al. 2017, after Goodfellow et al. 2015).

They regularize a training on few texts: the model comes to depend less on exact embeddings. Each
step takes a second pass.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from retune.core.errors import RetuneError
from retune.models.batches import Batch
from retune.processes.launch import SETTING
from retune.training.arguments import cannot_use
from retune.training.extension import Extension

if TYPE_CHECKING:
    from retune.training.resume import ResumableTrainer


class Embedded(NamedTuple):
    """The first argument and the output of a call of an embedding."""

    inputs: Any  # None without an argument
    embeddings: Tensor


class AdversarialSteps(Extension):
    """Trains on each batch twice: as it is, and with its embeddings perturbed.

    The gradients of the two passes are added. The first pass alone is logged and counted.

    Args:
        epsilon: how far the embeddings of a text are moved along their gradient.
    """

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def attach(self, trainer: "ResumableTrainer") -> None:
        """Refuse launches in which a step is a single pass.

        Raises:
            RetuneError: DeepSpeed, or one process that uses several GPUs.
        """
        self.trainer = trainer
        if trainer.is_deepspeed_enabled:
            raise self._refused(
                f"{SETTING} asks for DeepSpeed, which makes one pass a step",
                "launch without DeepSpeed",
            )
        if trainer.args.n_gpu > 1:
            raise self._refused(
                f"{trainer.args.n_gpu} GPUs are used by one process",
                f"start a process for each by {SETTING}",
            )

    def training_step(self, model: nn.Module, inputs: Batch, step: Callable[[], Tensor]) -> Tensor:
        """Add the gradients of both passes.

        Raises:
            RetuneError: the model does not embed the batch in one call.
        """
        embedding = self._embedding()
        with recorded_embeddings(embedding) as calls, self.trainer.accelerator.no_sync(model):
            loss = step()
        gradient = self._gradient(calls, inputs["input_ids"])
        with perturbed_embeddings(embedding, worst_perturbation(gradient, self.epsilon)):
            step()
        return loss

    def _embedding(self) -> nn.Module:
        try:
            return self.trainer.inner.get_input_embeddings()
        except NotImplementedError:
            raise self._unable("expose its embeddings") from None

    def _gradient(self, calls: list[Embedded], input_ids: Tensor) -> Tensor:
        """Return the gradient (B, T, E) of the embeddings of `input_ids` (B, T)."""
        if len(calls) == 1:
            read, gradient = calls[0].inputs, calls[0].embeddings.grad
            if isinstance(read, Tensor) and read.shape == input_ids.shape and gradient is not None:
                return gradient
        raise self._unable("embed a batch in one call")

    def _unable(self, what: str) -> RetuneError:
        why = f"{type(self.trainer.inner).__name__} does not {what}"
        return self._refused(why, "choose another model")

    def _refused(self, why: str, remedy: str) -> RetuneError:
        setting = f"{self.trainer.section}.adversarial_epsilon"
        return cannot_use(setting, self.epsilon, why, remedy)


@contextmanager
def recorded_embeddings(embedding: nn.Module) -> Iterator[list[Embedded]]:
    """Collect the calls of `embedding` in the block; a backward pass adds their gradients."""
    calls: list[Embedded] = []

    def record(_: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
        else:  # frozen
            output.requires_grad_()
        calls.append(Embedded(next(iter(arguments), None), output))

    handle = embedding.register_forward_hook(record)
    try:
        yield calls
    finally:
        handle.remove()


@contextmanager
def perturbed_embeddings(embedding: nn.Module, perturbation: Tensor) -> Iterator[None]:
    """Add `perturbation`, (B, T, E), to the output of `embedding` in the block."""
    handle = embedding.register_forward_hook(lambda _, __, output: output + perturbation)
    try:
        yield
    finally:
        handle.remove()


def worst_perturbation(gradient: Tensor, epsilon: float) -> Tensor:
    """Scale the gradient (B, T, E) of each text's embeddings to the length `epsilon`.

    The result is 0 for a text whose gradient is 0 or not finite. The latter occurs in the first
    steps in fp16, which are skipped.
    """
    lengths = gradient.flatten(1).norm(dim=1)
    scales = torch.where(lengths.isfinite() & (lengths > 0), epsilon / lengths, 0.0)
    perturbation: Tensor = gradient.nan_to_num(0.0, 0.0, 0.0) * scales[:, None, None]
    return perturbation
