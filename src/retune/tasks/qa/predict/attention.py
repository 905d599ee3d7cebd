"""Self-attention (Vaswani et al. 2017) over windows packed into one row.

A batch of windows of different lengths is usually a rectangle with padding, which is computed and
discarded. Here the tokens of all windows form one row, without padding and masks; only attention
needs to know where a window begins and ends. `packed_attention` is registered with transformers'
attention interface, so that its encoders use it unchanged.

Attention may be local: a token then sees the tokens of its window at a smaller distance than
`sliding_window`, on both sides (ModernBERT, Warner et al. 2024, section 2.1.2).

Shapes: N tokens of all windows, A heads, D size of a head, T tokens of one window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from retune.models.dropout import keep_mask, keep_rate

#: Its name in transformers' registry.
PACKED = "retune_packed"
#: Arguments for kinds of attention that are not supported here.
_NOT_PACKED = ("softcap", "position_bias", "s_aux", "head_mask")
_FAR_STEP = 128  # distances are computed for this many tokens, or a multiple


@dataclass(frozen=True)
class Packing:
    """The places of windows in a row of N tokens.

    A window has `lengths[i]` real tokens and takes `sizes[i]` places, the surplus at its
    end: few different sizes spare the processor's kernels new plans.
    """

    lengths: tuple[int, ...]
    sizes: tuple[int, ...]

    def spans(self) -> Iterator[tuple[slice, int]]:
        """The place of each window in the row, and its number of real tokens."""
        begin = 0
        for length, size in zip(self.lengths, self.sizes, strict=True):
            yield slice(begin, begin + size), length
            begin += size


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    packing: Packing | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention within each window of `packing`; without one, on padded windows as usual.

    Args:
        module: the calling layer.
        query: shape (1, A, N, D).
        key: the same, or with a head for several heads of the queries (grouped-query attention,
            Ainslie et al. 2023).
        value: the same as `key`.
        attention_mask: of padded windows only.
        scaling: of the products; by default D^-0.5.
        dropout: rate at which attention weights are dropped.
        sliding_window: the smallest distance at which tokens do not see each other.
        packing: the places of the windows.
        options: what else transformers passes to such functions.

    Returns:
        Mixtures of values, shape (1, N, A, D), and no weights.

    Raises:
        TypeError: the layer asks for something that packed windows do not support.
    """
    if packing is None:
        if attention_mask is None and sliding_window is not None:
            attention_mask = ~_far(query.shape[2], sliding_window)
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            is_causal=False,
        )
    for name in _NOT_PACKED:
        if options.get(name) is not None:
            raise TypeError(f"packed windows cannot have {name}={options[name]}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Rotary positions may leave queries and keys in float32 under autocast.
    query, key = query.to(value.dtype), key.to(value.dtype)
    if (group := query.shape[1] // key.shape[1]) > 1:
        key, value = (tensor.repeat_interleave(group, dim=1) for tensor in (key, value))
    query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    mixed = attend(query, key, value, packing, scale, dropout, sliding_window=sliding_window)
    return mixed[None], None


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Packing,
    scale: float,
    dropout: float = 0.0,
    *,
    sliding_window: int | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Mixtures of values within each window, shape (N, A, D) as each input.

    `bias` (A, T, T) is added to the scaled products; the packing then has a single window.
    """
    mixed = _Attention.apply(  # type: ignore[no-untyped-call]
        query, key, value, bias, packing, scale, dropout, sliding_window
    )
    return cast(Tensor, mixed)


def packed_mask(*, attention_mask: Tensor | None = None, **options: Any) -> Tensor | None:
    """The mask of padded windows; none for a packed row, which would need (N, N)."""
    if attention_mask is None:
        return None
    return sdpa_mask(attention_mask=attention_mask, **options)


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, packed_mask)


class _Attention(torch.autograd.Function):
    """With W = softmax(scale Q K' + bias) and its kept part K = W * mask, the output is K V / keep.

    The gradient of the scores is K * dK - W * (dK . K), where the row sum dK . K equals the
    row sum of gradient * output (Dao et al. 2022, section 3.1): no mask has to be kept. It is the
    gradient of the bias, too.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        packing: Packing,
        scale: float,
        dropout: float,
        sliding_window: int | None,
    ) -> Tensor:
        keep = keep_rate(dropout)
        output, weights = torch.empty_like(query), []
        with torch.autocast(query.device.type, enabled=False):
            for place, length in packing.spans():
                q, k, v = _heads(place, query, key, value)
                scores = _product(q, k.transpose(1, 2), scale, bias)
                scores[:, :, length:] = -torch.inf
                if sliding_window is not None and length > sliding_window:
                    # Only real tokens: one of padding might see none, and have no softmax.
                    far = _far(scores.shape[-1], sliding_window)
                    scores[:, :length].masked_fill_(far[:length], -torch.inf)
                weight = scores.softmax(dim=-1)
                kept = weight * keep_mask(weight, dropout) if dropout else weight
                output[place] = _product(kept, v, 1.0 / keep).transpose(0, 1)
                if any(ctx.needs_input_grad):
                    weights += [weight, kept]
        ctx.save_for_backward(query, key, value, output, *weights)
        ctx.packing, ctx.scale, ctx.keep = packing, scale, keep
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, output, *weights = ctx.saved_tensors
        (gradient,) = gradients
        shared = (gradient * output).sum(dim=-1).transpose(0, 1)[:, :, None]  # (A, N, 1)
        d_query, d_key, d_value = map(torch.empty_like, (query, key, value))
        d_bias = None
        pairs = zip(weights[::2], weights[1::2], strict=True)
        for (place, _), (weight, kept) in zip(ctx.packing.spans(), pairs, strict=True):
            q, k, v, g = _heads(place, query, key, value, gradient)
            d_value[place] = _product(kept.transpose(1, 2), g, 1.0 / ctx.keep).transpose(0, 1)
            d_scores = _product(g, v.transpose(1, 2), 1.0 / ctx.keep).mul_(kept)
            d_scores.addcmul_(weight, shared[:, place], value=-1.0)
            d_query[place] = _product(d_scores, k, ctx.scale).transpose(0, 1)
            d_key[place] = _product(d_scores.transpose(1, 2), q, ctx.scale).transpose(0, 1)
            d_bias = d_scores if ctx.needs_input_grad[3] else None
        return d_query, d_key, d_value, d_bias, None, None, None, None


def _heads(place: slice, *rows: Tensor) -> list[Tensor]:
    """The tokens `place` of rows (N, A, D), shape (A, T, D); no copies."""
    return [row[place].transpose(0, 1) for row in rows]


def _product(left: Tensor, right: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """Scaled products of matrices (A, T, I) and (A, I, U), shape (A, T, U), in one pass."""
    if bias is not None:
        return torch.baddbmm(bias, left, right, alpha=scale)
    shape = left.shape[0], left.shape[1], right.shape[2]
    return torch.baddbmm(left.new_empty(shape), left, right, beta=0.0, alpha=scale)


def _far(tokens: int, sliding_window: int) -> Tensor:
    """Which tokens of a window do not see each other, shape (T, T)."""
    return _distant(-(-tokens // _FAR_STEP) * _FAR_STEP, sliding_window)[:tokens, :tokens]


@lru_cache(maxsize=8)
def _distant(tokens: int, sliding_window: int) -> Tensor:
    with torch.inference_mode(False):  # the next call may need gradients
        places = torch.arange(tokens)
        return (places[:, None] - places).abs() >= sliding_window
