"""An LSTM (Hochreiter & Schmidhuber 1997) that runs in whatever precision the processor can."""

import torch
from torch import Tensor, nn


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` over right-padded rows; bfloat16 only where the kernels have it.

    On a CPU the kernel for whole rectangles trains several times as fast as the one for
    packed sequences, and reading in one direction nothing real depends on padding behind it.
    """

    def states(self, vectors: Tensor) -> Tensor:
        """Hidden states (B, T, H) of `vectors` (B, T, I)."""
        if _emulated(vectors):
            with torch.autocast("cpu", enabled=False):
                return self(vectors.float())[0]  # type: ignore[no-any-return]
        return self(vectors)[0]  # type: ignore[no-any-return]


def _emulated(vectors: Tensor) -> bool:
    """Whether autocast would ask oneDNN for a format that this processor does not have."""
    if vectors.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return False
    return not torch.ops.mkldnn._is_mkldnn_bf16_supported()
