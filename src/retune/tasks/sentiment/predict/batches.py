"""Texts of different lengths to tensors of one shape, and a model's logits for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from retune.models.batches import Batch, padded_length
from retune.models.losses import NO_LABEL
from retune.models.positions import max_positions
from retune.tasks.sentiment.texts.features import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

# Sentences are short: with the step of 32 tokens for questions, half would be padding.
_LENGTH_STEP = 8


@dataclass(frozen=True)
class Collator:
    """Pads texts to the longest, rounded up, on the tokenizer's side.

    Batches are never longer than `max_length`, the positions that the model has.
    """

    pad_token_id: int
    pad_left: bool
    max_length: int | None

    @classmethod
    def for_model(cls, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast") -> Self:
        """The collator for `model`'s length and `tokenizer`'s padding."""
        left = tokenizer.padding_side == "left"
        return cls(int(tokenizer.pad_token_id), left, max_positions(model))

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """Return `input_ids` and `attention_mask` (B, T), and `labels` (B,).

        Without rows, the batch has one text of a single token, whose label counts for nothing.
        """
        ids = [torch.from_numpy(row.input_ids).long() for row in rows]
        labels = [row.label for row in rows]
        if not rows:
            ids, labels = [torch.tensor([self.pad_token_id])], [NO_LABEL]
        width = padded_length(max(map(len, ids)), self.max_length, _LENGTH_STEP)
        input_ids = torch.full((len(ids), width), self.pad_token_id)
        mask = torch.zeros_like(input_ids)
        for number, tokens in enumerate(ids):
            begin = width - len(tokens) if self.pad_left else 0
            input_ids[number, begin : begin + len(tokens)] = tokens
            mask[number, begin : begin + len(tokens)] = 1
        return {"input_ids": input_ids, "attention_mask": mask, "labels": torch.tensor(labels)}


def label_logits(model: nn.Module, batch: Batch) -> Tensor:
    """The logits (B, 2) of a batch."""
    output: Any = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    return output.logits  # type: ignore[no-any-return]
