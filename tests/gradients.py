"""What the gradients of a training were."""

from typing import Any

import torch
from transformers import TrainerCallback


class Gradients(TrainerCallback):
    """Keeps the gradients of each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
        named = {name: weight.grad for name, weight in model.named_parameters()}
        self.steps.append({name: grad.clone() for name, grad in named.items() if grad is not None})
