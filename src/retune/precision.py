"""The number format of matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def resolved_precision(precision: Precision) -> str:
    """`precision`, with "auto" resolved for this machine.

    "auto" is bf16 where the hardware multiplies it natively; otherwise fp16 on a GPU and
    fp32 on a CPU, which would only emulate the shorter formats.
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = torch.cpu.get_capabilities()
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bf16" if native else "fp32"


@contextmanager
def evaluating(model: nn.Module, precision: Precision) -> Iterator[torch.device]:
    """Use `model` in the block without dropout and gradients, in `precision`; gives its device."""
    device = next(model.parameters()).device
    dtype = _DTYPES[resolved_precision(precision)]
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype, dtype != torch.float32):
        yield device
