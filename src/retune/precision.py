"""The number format of matrix products."""

from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16", "fp16"]


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
