"""Windows of different lengths to tensors of one shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from retune.qa.models import accepts_token_types, max_positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

# Each new shape costs the CPU kernels a plan; few lengths keep time and memory down.
_LENGTH_STEP = 32


@dataclass(frozen=True)
class Collator:
    """Pads the windows of a batch to the longest, rounded up, on the tokenizer's side.

    Never beyond `max_length`, the positions that the model has.
    """

    pad_token_id: int
    pad_left: bool
    token_types: bool
    max_length: int | None = None

    @classmethod
    def for_model(cls, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast") -> Self:
        """The collator for `model`'s inputs and `tokenizer`'s padding."""
        return cls(
            pad_token_id=int(tokenizer.pad_token_id),
            pad_left=tokenizer.padding_side == "left",
            token_types=accepts_token_types(model),
            max_length=max_positions(model),
        )

    def __call__(self, windows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Tensors of shape (B, T), int64, and the answers' positions, shape (B,).

        In `attention_mask` 1 is a real token.
        """
        lengths = [len(window["input_ids"]) for window in windows]
        size = -(-max(lengths) // _LENGTH_STEP) * _LENGTH_STEP
        size = min(size, self.max_length or size)
        shape = len(windows), size
        input_ids = np.full(shape, self.pad_token_id, np.int64)
        attention_mask, token_type_ids = np.zeros((2, *shape), np.int64)
        begins = [size - length if self.pad_left else 0 for length in lengths]
        for row, (window, begin, length) in enumerate(zip(windows, begins, lengths, strict=True)):
            real = slice(begin, begin + length)
            input_ids[row, real] = window["input_ids"]
            attention_mask[row, real] = 1
            token_type_ids[row, real] = window["token_type_ids"]
        arrays = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.token_types:
            arrays["token_type_ids"] = token_type_ids
        for name in ("start_position", "end_position"):
            arrays[name] = np.array([window[name] for window in windows], np.int64) + begins
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
