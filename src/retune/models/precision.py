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
    if _multiplies_bf16():
        return "bf16"
    return "fp16" if torch.cuda.is_available() else "fp32"


def chosen_precision(precision: Precision, setting: str) -> str:
    """The number format on this machine and the reason for it, for messages.

    `setting` is the dotted name of the params key that holds `precision`.
    """
    chosen = resolved_precision(precision)
    device = "GPU" if torch.cuda.is_available() else "processor"
    if precision != "auto":
        slow = chosen == "bf16" and not _multiplies_bf16()
        warning = f"; this {device} only emulates it, which is slow" if slow else ""
        return f"{chosen} ({setting} is {precision}{warning})"
    if chosen == "bf16":
        return f"bf16 ({setting} is auto, and this {device} multiplies bfloat16)"
    return (
        f"{chosen} ({setting} is auto, and this {device} does not multiply bfloat16; one that does "
        "trains several times as fast)"
    )


@contextmanager
def evaluating(model: nn.Module, precision: Precision) -> Iterator[torch.device]:
    """Run `model` in `precision` without dropout and gradients; yields its device."""
    device = next(model.parameters()).device
    dtype = _DTYPES[resolved_precision(precision)]
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype, dtype != torch.float32):
        yield device


def _multiplies_bf16() -> bool:
    """Whether the hardware multiplies bfloat16 natively."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
