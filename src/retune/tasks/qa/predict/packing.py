"""Windows packed into one row, for models that can read them.

On a CPU padding costs as much as real tokens. transformers' encoders look up their attention by
name, so with `retune.tasks.qa.predict.attention` they read packed windows unchanged. Each model is
first tried on two small windows.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from retune.models.positions import first_position
from retune.tasks.qa.predict.attention import PACKED, Packing
from retune.tasks.qa.predict.reader import accepts_token_types

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def use_packing(model: "PreTrainedModel") -> bool:
    """Let `model` read packed windows; if it cannot, leave it unchanged and return False."""
    if not model.is_backend_compatible():
        return False
    before = model.config._attn_implementation
    model.set_attn_implementation(PACKED)
    if _reads_packed(model):
        return True
    model.set_attn_implementation(before)
    return False


def packed_positions(packing: Packing, first: int) -> Tensor:
    """Positions of the tokens in each window, counted from `first`, shape (1, N)."""
    return torch.cat([torch.arange(size) for size in packing.sizes])[None] + first


def unpacked(row: Tensor, packing: Packing) -> Tensor:
    """Values (1, N) of packed tokens as a rectangle (B, T), with zeros after each window."""
    windows = [row[0, place][:length] for place, length in packing.spans()]
    return torch.nn.utils.rnn.pad_sequence(windows, batch_first=True)


def _reads_packed(model: "PreTrainedModel") -> bool:
    """Whether packed windows get the same logits as in a padded rectangle."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            padded, packed = _trial(model, packed=False), _trial(model, packed=True)
    except Exception:  # `retune.tasks.qa.train.padding` finds a model that reads no windows at all
        return False
    finally:
        model.train(training)
    return torch.allclose(padded, packed, atol=1e-4, rtol=1e-3)


def _trial(model: "PreTrainedModel", *, packed: bool) -> Tensor:
    """Start logits of a window of 4 tokens and one of 2, shape (6,)."""
    token = 1 + int(getattr(model.config, "pad_token_id", None) or 0)
    ids = token + torch.tensor([[0, 1, 2, 3], [3, 1, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    types = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 0]])
    real = mask.bool()
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    if accepts_token_types(model):
        inputs["token_type_ids"] = types
    if packed:
        packing = Packing((4, 2), (4, 2))
        inputs = {name: row[real][None] for name, row in inputs.items()}
        inputs["attention_mask"] = None
        inputs |= {"position_ids": packed_positions(packing, first_position(model))}
        inputs |= {"packing": packing}
    logits: Tensor = model(**inputs).start_logits
    return logits[0] if packed else logits[real]
