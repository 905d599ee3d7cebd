"""Trained models that predict: their device, and checks of their logits."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from retune.core.errors import RetuneError
from retune.core.memory import keep_freed_memory


def on_best_device(model: PreTrainedModel) -> PreTrainedModel:
    """Move `model` to the GPU, if there is one."""
    module: nn.Module = model
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    keep_freed_memory()
    return model


def require_finite_logits(logits: NDArray[np.float32], place: Callable[[int], str]) -> None:
    """Check the logits (N, C) of a model.

    Args:
        logits: to check.
        place: names the input of a row, for the message.

    Raises:
        RetuneError: a logit is not finite.
    """
    finite = np.isfinite(logits).all(axis=1)
    if not finite.all():
        raise RetuneError(
            f"the model gives a logit that is not a number at {place(int(np.argmin(finite)))}; the "
            "model is broken, train it again with a lower learning rate"
        )
