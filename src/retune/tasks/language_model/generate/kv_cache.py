"""A causal language model with its key-value cache: it reads prompts once, then a token a step."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from retune.core.errors import RetuneError
from retune.tasks.language_model.texts.prompts import Padded, takes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CachedDecoder:
    """R rows that grow by a token a step; the rows of a prompt are side by side.

    The keys and values of all tokens read stay in the model's cache. Use it without gradients and
    dropout (`retune.models.precision.evaluating`).

    Args:
        model: a causal language model.
        prompts: of B sequences.
        copies: how many rows each prompt has: R = B x `copies`.
        steps: how many tokens may follow.
    """

    def __init__(self, model: "PreTrainedModel", prompts: Padded, copies: int, steps: int) -> None:
        self.copies = copies
        self.tokens = prompts.tokens.repeat_interleave(copies, 0)  # (R, T) of the prompts
        self.real = prompts.real.repeat_interleave(copies, 0)  # (R, T)
        self._model, self._prompts = model, prompts
        self._order = torch.arange(len(self.tokens), device=self.tokens.device)
        self._lengths = self.real.sum(1, keepdim=True)
        after = self.real.new_ones(len(self.real), steps)
        self._mask = torch.cat([self.real, after], 1).long()
        self._has_positions = takes(model, "position_ids")
        self._cache: Any = None
        self._steps = 0

    def start(self) -> Tensor:
        """Read each prompt once, and return the logits (R, V) of the next token."""
        from transformers import Cache

        last = {"logits_to_keep": 1} if takes(self._model, "logits_to_keep") else {}
        logits = self._read(self._prompts, self._prompts.real.long(), last)
        if not isinstance(self._cache, Cache):
            raise RetuneError(
                f"{type(self._model).__name__} has no cache of keys and values that can be "
                "reordered; choose a decoder with such a cache, such as GPT-2"
            )
        if self.copies > 1:
            self._cache.batch_repeat_interleave(self.copies)
        return logits.repeat_interleave(self.copies, 0)

    def next(self, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
        """Read a token (R) in each row, and return the logits (R, V) of the next token.

        Args:
            tokens: to be read.
            rows: the row that each continues, which must be one of the same prompt. By default
                each continues itself.
        """
        if rows is not None and not torch.equal(rows, self._order):
            self._cache.reorder_cache(rows)
        self._steps += 1
        mask = self._mask[:, : self.tokens.shape[1] + self._steps]
        return self._read(Padded(tokens[:, None], mask), mask, {})

    def _read(self, sequences: Padded, mask: Tensor, options: dict[str, int]) -> Tensor:
        positions = self._lengths + self._steps - 1 if self._steps else sequences.positions()
        placed = {"position_ids": positions} if self._has_positions else {}
        output = self._model(
            input_ids=sequences.tokens,
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
            **placed,
            **options,
        )
        self._cache = getattr(output, "past_key_values", None)
        logits: Tensor = output.logits[:, -1].float()
        if not logits.amax().isfinite():
            raise no_number()
        return logits


def no_number() -> RetuneError:
    """Return the error for a model whose probabilities are not numbers."""
    return RetuneError(
        "the model gives a probability that is not a number; its weights are damaged, or its "
        "training diverged: train it again with a lower learning rate"
    )
