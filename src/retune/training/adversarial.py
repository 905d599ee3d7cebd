"""Adversarial perturbations of embeddings (Miyato et al. 2017, after Goodfellow et al. 2015).

A model that is trained on them, too, depends less on the exact place of a word: a regularizer for
few texts, at the price of a second pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Embedded(NamedTuple):
    """What one call of an embedding was given and gave."""

    inputs: Any  # its first argument, where it has one
    embeddings: Tensor


@contextmanager
def recorded_embeddings(embedding: nn.Module) -> Iterator[list[Embedded]]:
    """Collect the calls of `embedding` in the block; a backward pass leaves gradients there."""
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
    """Add `perturbation`, (B, T, E), to what `embedding` gives in the block."""
    handle = embedding.register_forward_hook(lambda _, __, output: output + perturbation)
    try:
        yield
    finally:
        handle.remove()


def worst_perturbation(gradient: Tensor, epsilon: float) -> Tensor:
    """Of each text's embeddings, (B, T, E), the one of length `epsilon` along the gradient.

    0 for a text without a gradient, and for one whose gradient is no number: fp16 knows such at
    first, and skips their step.
    """
    lengths = gradient.flatten(1).norm(dim=1)
    scales = torch.where(lengths.isfinite() & (lengths > 0), epsilon / lengths, 0.0)
    perturbation: Tensor = gradient.nan_to_num(0.0, 0.0, 0.0) * scales[:, None, None]
    return perturbation
