"""Dropout (Srivastava et al. 2014) with cheap random bits on the CPU.

PyTorch draws a number for each element, which takes a quarter to a half of a training step on a
CPU. Here a generator of numpy's (SFC64) draws 64 bits at a time, for four elements. Its seed comes
from torch's generator, so that seeding, saving or restoring torch's state covers dropout. The rate
is exact to 2^-17. Kept elements are divided by the rate at which they are really kept, which
preserves the mean.
"""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 2**16  # of the 16 bits that decide about an element


def keep_rate(p: float) -> float:
    """The share of elements that `keep_mask` keeps for the dropout rate `p`."""
    return 1.0 - round(p * _LEVELS) / _LEVELS


def keep_mask(like: Tensor, p: float) -> Tensor:
    """Independent zeros, each with probability `p`, and ones: of the shape and type of `like`."""
    elements = like.numel()
    seed = int(torch.randint(2**63 - 1, (), device="cpu"))
    words = np.random.SFC64(seed).random_raw(-(-elements // 4))
    bits = torch.from_numpy(words.view(np.int16)[:elements]).view(like.shape)
    # Straight to numbers: a product with booleans would convert them first.
    mask = torch.empty_like(like, memory_format=torch.contiguous_format)
    return torch.ge(bits, round(p * _LEVELS) - _LEVELS // 2, out=mask)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, faster on the CPU and the same elsewhere."""

    def forward(self, input: Tensor) -> Tensor:
        """Zero elements with probability `p` while training, and scale up the others."""
        if not self.training or self.p == 0.0 or input.device.type != "cpu" or self.p == 1.0:
            return super().forward(input)
        return cast(Tensor, _Masked.apply(input, self.p))  # type: ignore[no-untyped-call]


def use_fast_dropout(model: nn.Module) -> None:
    """Replace every `torch.nn.Dropout` inside `model` by `Dropout`."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p, child.inplace))


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        factors = keep_mask(values, p).mul_(1.0 / keep_rate(p))
        ctx.save_for_backward(factors)
        return values * factors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (factors,) = ctx.saved_tensors
        return gradients[0] * factors, None
