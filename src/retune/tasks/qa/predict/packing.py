"""Windows packed into one row, for models that can read them.

On a CPU padding costs as much as real tokens. transformers' encoders look up their attention by
name, so with `retune.tasks.qa.predict.attention` they read packed windows unchanged; DeBERTa has an
attention of its own (`retune.tasks.qa.predict.disentangled`). Each model is first tried on two
small windows, and one whose attention depends on distances on a longer one, too.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from retune.models.positions import first_position, max_positions
from retune.tasks.qa.predict.attention import PACKED, Packing
from retune.tasks.qa.predict.disentangled import is_disentangled, use_disentangled
from retune.tasks.qa.predict.reader import accepts_token_types

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def use_packing(model: "PreTrainedModel") -> bool:
    """Let `model` read packed windows; if it cannot, leave it unchanged and return False."""
    change = _change(model)
    if change is None:
        return False
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return _agrees(model, change)
    except Exception:  # `retune.tasks.qa.train.padding` finds a model that reads no windows at all
        return False
    finally:
        model.train(training)


def _change(model: "PreTrainedModel") -> Callable[[], Callable[[], None]] | None:
    """What would let `model` read packed windows; a call of it returns how to undo it."""
    if is_disentangled(model):
        return partial(use_disentangled, model)
    return partial(_use_registry, model) if model.is_backend_compatible() else None


def _use_registry(model: "PreTrainedModel") -> Callable[[], None]:
    before = model.config._attn_implementation
    model.set_attn_implementation(PACKED)
    return partial(model.set_attn_implementation, before)


def _agrees(model: "PreTrainedModel", change: Callable[[], Callable[[], None]]) -> bool:
    """Whether packed windows get the logits of padded ones; if not, the change is undone."""
    trials = [*_trials(model)]
    padded = [_padded(model, lengths) for lengths in trials]
    undo = change()
    same = False
    try:
        same = all(
            torch.allclose(logits, _packed(model, lengths), atol=1e-4, rtol=1e-3)
            for logits, lengths in zip(padded, trials, strict=True)
        )
    finally:
        if not same:
            undo()
    return same


def packed_positions(packing: Packing, first: int) -> Tensor:
    """Positions of the tokens in each window, counted from `first`, shape (1, N)."""
    return torch.cat([torch.arange(size) for size in packing.sizes])[None] + first


def unpacked(row: Tensor, packing: Packing) -> Tensor:
    """Values (1, N) of packed tokens as a rectangle (B, T), with zeros after each window."""
    windows = [row[0, place][:length] for place, length in packing.spans()]
    return torch.nn.utils.rnn.pad_sequence(windows, batch_first=True)


def _trials(model: "PreTrainedModel") -> Iterator[tuple[int, int]]:
    """Lengths of the windows of each trial, the longer one first."""
    yield 4, 2
    local = getattr(model.config, "sliding_window", None) or 0
    exact = (getattr(model.config, "position_buckets", None) or 0) // 2
    if (farthest := max(local, exact)) > 0:
        # Tokens are farther apart than local attention sees, or than embeddings tell apart.
        length = min(2 * farthest + 8, max_positions(model) or 2 * farthest + 8)
        yield length, max(1, length // 3)


def _padded(model: "PreTrainedModel", lengths: tuple[int, int]) -> Tensor:
    """Start logits of the real tokens of two padded windows, shape (N,)."""
    inputs, real = _windows(model, lengths)
    logits: Tensor = model(**inputs, attention_mask=real.long()).start_logits
    return logits[real]


def _packed(model: "PreTrainedModel", lengths: tuple[int, int]) -> Tensor:
    """Start logits of the same windows, packed, shape (N,)."""
    inputs, real = _windows(model, lengths)
    packing = Packing(lengths, lengths)
    rows: dict[str, Any] = {name: values[real][None] for name, values in inputs.items()}
    rows |= {"position_ids": packed_positions(packing, first_position(model))}
    logits: Tensor = model(**rows, attention_mask=None, packing=packing).start_logits
    return logits[0]


def _windows(
    model: "PreTrainedModel", lengths: tuple[int, int]
) -> tuple[dict[str, Tensor], Tensor]:
    """Inputs (2, T) and a mask (2, T) of the real tokens; no token is that of padding."""
    places = torch.arange(max(lengths))
    padding = int(getattr(model.config, "pad_token_id", None) or 0)
    ids = torch.stack([places, places.flip(0)]) % (model.config.vocab_size - 1)
    inputs = {"input_ids": ids + (ids >= padding)}
    if accepts_token_types(model):
        inputs["token_type_ids"] = (places > 1).long().expand(2, -1)
    return inputs, places < torch.tensor(lengths)[:, None]
