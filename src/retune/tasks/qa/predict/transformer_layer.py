"""A layer of a Transformer encoder (Vaswani et al. 2017, section 3.1), padded or packed.

Shapes: B batch, T tokens of a window (or one row of all windows' tokens), H hidden size.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from retune.tasks.qa.predict.attention import Packing, packed_attention


class SelfAttention(nn.Module):
    """Multi-head attention of each token to its window, initialised as PyTorch's own."""

    def __init__(self, hidden_size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.input = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.zeros_(self.input.bias)
        nn.init.zeros_(self.output.bias)

    def forward(self, states: Tensor, mask: Tensor | None, packing: Packing | None) -> Tensor:
        """Mixtures (B, T, H) of states (B, T, H); `mask`, see `key_mask`, without a packing."""
        parts = self.input(states).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, A, D)
        query, key, value = parts.transpose(1, 3).unbind(dim=2)  # each (B, A, T, D)
        dropout = self.dropout if self.training else 0.0
        mixed, _ = packed_attention(self, query, key, value, mask, dropout=dropout, packing=packing)
        return self.output(mixed.flatten(-2))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each with a residual connection and a norm.

    `norm_first` puts the norms before the two (Xiong et al. 2020), else behind the sums.
    """

    def __init__(
        self,
        hidden_size: int,
        heads: int,
        feed_forward_size: int,
        dropout: float,
        *,
        activation: Callable[[Tensor], Tensor] = torch.relu,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.activation, self.norm_first = activation, norm_first
        self.attention = SelfAttention(hidden_size, heads, dropout)
        self.enter = nn.Linear(hidden_size, feed_forward_size)
        self.leave = nn.Linear(feed_forward_size, hidden_size)
        self.norm1, self.norm2 = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor | None, packing: Packing | None) -> Tensor:
        """States (B, T, H) after the layer, from those before it."""
        if self.norm_first:
            states = states + self._attend(self.norm1(states), mask, packing)
            return states + self._think(self.norm2(states))
        states = self.norm1(states + self._attend(states, mask, packing))
        return self.norm2(states + self._think(states))  # type: ignore[no-any-return]

    def _attend(self, states: Tensor, mask: Tensor | None, packing: Packing | None) -> Tensor:
        return self.dropout(self.attention(states, mask, packing))  # type: ignore[no-any-return]

    def _think(self, states: Tensor) -> Tensor:
        inner = self.dropout(self.activation(self.enter(states)))
        return self.dropout(self.leave(inner))  # type: ignore[no-any-return]


def key_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Which tokens may be attended to, shape (B, 1, 1, T), from a mask (B, T).

    A row of nothing but padding keeps its tokens: a softmax over none is not a number.
    """
    if attention_mask is None:
        return None
    real = attention_mask.bool()
    return (real | ~real.any(dim=1, keepdim=True))[:, None, None]
