"""DeBERTa's attention with relative positions (He et al. 2021, section 3.1) for packed windows.

DeBERTa v2 and v3 do not take their attention from transformers' registry. `use_disentangled`
therefore gives its layers the classes below. They have the parameters of transformers' classes and
their names, and compute padded windows as these do, so that a saved model is the same.

A token at i that looks at one at j scores q_i k_j, plus q_i p(i-j) for the position of j and
k_j r(i-j) for its own. Both p and r are the layer's keys and queries of an embedding for each
distance, where large distances share one.

Shapes: N tokens of all windows, A heads, D size of a head, T tokens of one window, P embeddings of
distances, H hidden size.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.models.deberta_v2.modeling_deberta_v2 import (
    DebertaV2Encoder,
    DisentangledSelfAttention,
    make_log_bucket_position,
)

from retune.tasks.qa.predict.attention import Packing, attend

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: The packing of the call that is in progress; transformers hands none to its encoder.
_packing: ContextVar[Packing | None] = ContextVar("packing", default=None)


def is_disentangled(model: "PreTrainedModel") -> bool:
    """Whether `model` is a DeBERTa v2 or v3 without a convolution, which would mix windows."""
    encoder = _encoder(model)
    return isinstance(encoder, DebertaV2Encoder) and encoder.conv is None


def use_disentangled(model: "PreTrainedModel") -> Callable[[], None]:
    """Let such a DeBERTa read packed windows, and return how to undo it."""
    encoder = _encoder(model)
    if isinstance(encoder, _PackedEncoder):
        return lambda: None
    hooks = [
        model.register_forward_pre_hook(_enter, with_kwargs=True),
        model.register_forward_hook(_leave, always_call=True),
    ]
    _exchange(encoder, _PackedEncoder, _PackedSelfAttention)

    def undo() -> None:
        _exchange(encoder, DebertaV2Encoder, DisentangledSelfAttention)
        for hook in hooks:
            hook.remove()

    return undo


def _encoder(model: "PreTrainedModel") -> Any:
    return getattr(getattr(model, "base_model", None), "encoder", None)


def _exchange(encoder: DebertaV2Encoder, whole: type, attention: type) -> None:
    encoder.__class__ = whole
    for module in encoder.modules():
        if isinstance(module, DisentangledSelfAttention):
            module.__class__ = attention


def _enter(_: Any, inputs: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _packing.set(named.pop("packing", None))
    return inputs, named


def _leave(*_: Any) -> None:
    _packing.set(None)


class _PackedEncoder(DebertaV2Encoder):
    """Hands the packing to its layers in place of distances, which would have shape (N, N)."""

    def get_attention_mask(self, attention_mask: Tensor) -> Tensor:
        if _packing.get() is not None:
            return attention_mask
        mask: Tensor = super().get_attention_mask(attention_mask)  # type: ignore[no-untyped-call]
        return mask

    def get_rel_pos(self, *arguments: Any, **named: Any) -> Any:
        packing = _packing.get()
        if packing is not None:
            return packing
        return super().get_rel_pos(*arguments, **named)  # type: ignore[no-untyped-call]


class _PackedSelfAttention(DisentangledSelfAttention):
    """Attention within each window of a packing, or as usual."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor,
        output_attentions: bool = False,
        query_states: Tensor | None = None,
        relative_pos: Any = None,
        rel_embeddings: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Mixtures (1, N, H) of states (1, N, H) where `relative_pos` is a packing."""
        if not isinstance(relative_pos, Packing):
            mixed: tuple[Tensor, Tensor | None] = super().forward(  # type: ignore[no-untyped-call]
                hidden_states, attention_mask, output_attentions, query_states, relative_pos,
                rel_embeddings,
            )  # fmt: skip
            return mixed
        packing, heads = relative_pos, (self.num_attention_heads, -1)
        kinds = [kind for kind in ("c2p", "p2c") if kind in self.pos_att_type]
        scale = (self.attention_head_size * (1 + len(kinds))) ** -0.5
        projections = self.query_proj, self.key_proj, self.value_proj
        rows: list[Tensor] = [
            project(hidden_states[0]).unflatten(-1, heads) for project in projections
        ]
        distances = {}
        if self.relative_attention:
            embeddings = self.pos_dropout(rel_embeddings)[: 2 * self.pos_ebd_size]
            longest = max(packing.sizes)
            distances = {k: self._distances(k, embeddings, longest) * scale for k in kinds}
        dropout = self.dropout.p if self.training else 0.0
        outputs = []
        windows = zip(*(torch.split(row, [*packing.sizes]) for row in rows), strict=True)
        for length, (query, key, value) in zip(packing.lengths, windows, strict=True):
            bias = _bias(query, key, distances)
            window = Packing((length,), (len(query),))
            outputs.append(attend(query, key, value, window, scale, dropout, bias=bias))
        return torch.cat(outputs).flatten(1)[None], None

    def _distances(self, kind: str, embeddings: Tensor, tokens: int) -> Tensor:
        """Keys (`c2p`) or queries of distances, shape (A, 2T - 1, D).

        In keys, the row in the middle is for distance 0 and the first one for that of the last
        token to the first; in queries it is the other way round.
        """
        if self.share_att_key:
            project = self.key_proj if kind == "c2p" else self.query_proj
        else:
            project = self.pos_key_proj if kind == "c2p" else self.pos_query_proj
        places = _places(
            tokens, self.pos_ebd_size, self.position_buckets, self.max_relative_positions
        )
        rows: Tensor = project(embeddings).unflatten(-1, (self.num_attention_heads, -1))
        return rows.index_select(0, places if kind == "p2c" else places.flip(0)).transpose(0, 1)


def _bias(query: Tensor, key: Tensor, distances: dict[str, Tensor]) -> Tensor | None:
    """What positions add to the scores of a window, shape (A, T, T); queries and keys (T, A, D)."""
    bias = None
    if "c2p" in distances:
        bias = _sheared(_products(query, distances["c2p"]))
    if "p2c" in distances:
        other = _sheared(_products(key, distances["p2c"])).transpose(1, 2)
        bias = other if bias is None else bias + other
    return bias


def _products(states: Tensor, distances: Tensor) -> Tensor:
    """Products of the states (T, A, D) with the vectors of the 2T - 1 distances that occur.

    Returns:
        shape (A, T, 2T - 1), in the order of `distances`.
    """
    surplus = distances.shape[1] // 2 + 1 - len(states)
    middle = distances[:, surplus : distances.shape[1] - surplus]
    return states.transpose(0, 1) @ middle.transpose(1, 2)


def _sheared(products: Tensor) -> Tensor:
    """Element (i, j) is that of row i in column j - i + T - 1; from (A, T, 2T - 1), no copy."""
    heads, tokens, columns = products.shape
    strides = tokens * columns, columns - 1, 1
    return products.contiguous().as_strided((heads, tokens, tokens), strides, tokens - 1)


@lru_cache(maxsize=64)
def _places(tokens: int, span: int, buckets: int, longest: int) -> Tensor:
    """The embeddings of the distances 1 - T to T - 1, shape (2T - 1,)."""
    with torch.inference_mode(False):  # the next call may need gradients
        distances = torch.arange(1 - tokens, tokens)
        if buckets > 0 and longest > 0:
            distances = make_log_bucket_position(distances, buckets, longest).long()
        return (distances + span).clamp(0, 2 * span - 1)
