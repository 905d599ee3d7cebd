"""LSTMs (Hochreiter & Schmidhuber 1997) in any precision that the processor supports."""

import torch
from torch import Tensor, nn

from retune.core.errors import RetuneError


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` over right-padded rows; bfloat16 only if the kernels have it.

    On a CPU the kernel for whole rectangles trains several times as fast as the one for packed
    sequences. In one direction, no real token depends on the padding behind it.
    """

    def states(self, vectors: Tensor) -> Tensor:
        """Hidden states (B, T, H) of `vectors` (B, T, I)."""
        if _emulated(vectors):
            with torch.autocast("cpu", enabled=False):
                return self(vectors.float())[0]  # type: ignore[no-any-return]
        return self(vectors)[0]  # type: ignore[no-any-return]


class BidirectionalLSTM(nn.Module):
    """An LSTM in each direction over right-padded rows, (B, T, I) to (B, T, 2H).

    The backward one reads each row's real tokens reversed, so that padding comes last for both.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.ahead = LSTM(input_size, hidden_size, batch_first=True)
        self.back = LSTM(input_size, hidden_size, batch_first=True)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """States of `vectors` (B, T, I) whose rows have `lengths` (B) real tokens."""
        places = torch.arange(vectors.shape[1], device=vectors.device)
        mirrored = lengths[:, None] - 1 - places
        order = torch.where(mirrored >= 0, mirrored, places)[..., None]
        reversed_vectors = vectors.gather(1, order.expand_as(vectors))
        ahead, back = self.ahead.states(vectors), self.back.states(reversed_vectors)
        return torch.cat([ahead, back.gather(1, order.expand_as(back))], dim=-1)


def require_right_padding(attention_mask: Tensor, what: str) -> None:
    """Raise an error if a row of the mask (B, T) is padded on the left."""
    if (attention_mask[:, 1:] > attention_mask[:, :-1]).any():
        raise RetuneError(f"{what} is padded on the left; set padding_side to right")


def _emulated(vectors: Tensor) -> bool:
    """Whether autocast would ask oneDNN for a format that this processor does not have."""
    if vectors.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return False
    return not torch.ops.mkldnn._is_mkldnn_bf16_supported()
