"""Sequences of token ids, checked and padded on the left to one length."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from retune.core.errors import RetuneError
from retune.models.positions import max_positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Tokens = Sequence[int]


class Padded(NamedTuple):
    """B sequences that end in the same column."""

    tokens: Tensor  # (B, T)
    real: Tensor  # (B, T), false where there is padding, which is token 0

    @classmethod
    def left(cls, sequences: Sequence[Tokens], device: torch.device) -> "Padded":
        """The sequences, padded on the left to the length of the longest."""
        longest = max(map(len, sequences))
        tokens = torch.zeros(len(sequences), longest, dtype=torch.long)
        real = torch.zeros(len(sequences), longest, dtype=torch.bool)
        for row, sequence in enumerate(sequences):
            tokens[row, longest - len(sequence) :] = torch.tensor(sequence)
            real[row, longest - len(sequence) :] = True
        return cls(tokens.to(device), real.to(device))

    def positions(self) -> Tensor:
        """The place (B, T) of each token in its sequence, from 0."""
        return (self.real.cumsum(1) - 1).clamp(min=0)


def check_tokens(
    model: "PreTrainedModel",
    sequences: Sequence[Tokens],
    name: str,
    *,
    more: int = 0,
    bounded: bool = True,
) -> None:
    """Refuse sequences that `model` cannot read.

    Args:
        model: a causal language model.
        sequences: their tokens.
        name: what messages call a sequence; they count from 0.
        more: how many new tokens follow each.
        bounded: whether each must be within the model's context.

    Raises:
        RetuneError: a sequence is empty, too long, or has tokens outside the vocabulary.
    """
    vocabulary = vocabulary_size(model)
    context = max_positions(model) if bounded else None
    for number, sequence in enumerate(sequences):
        if not len(sequence):
            raise RetuneError(
                f"{name} {number} is empty; a model continues at least one token, such as its "
                "begin-of-sequence token"
            )
        if context is not None and len(sequence) + more > context:
            raise RetuneError(
                f"{name} {number}: {len(sequence)} tokens{f' and {more} new ones' if more else ''} "
                f"are more than the {context} of the model's context; shorten it"
                f"{', or lower max_new_tokens' if more else ''}"
            )
        wrong = [token for token in sequence if not 0 <= token < vocabulary]
        if wrong:
            raise RetuneError(
                f"{name} {number}: token {wrong[0]} is not in the model's vocabulary of "
                f"{vocabulary}; use the model's own tokenizer"
            )


def vocabulary_size(model: "PreTrainedModel") -> int:
    """The number of tokens in the model's vocabulary."""
    return int(model.config.get_text_config().vocab_size)


def takes(model: "PreTrainedModel", argument: str) -> bool:
    """Whether the model's `forward` has this argument."""
    return argument in inspect.signature(model.forward).parameters
