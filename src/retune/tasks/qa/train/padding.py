"""A trial before the training: a model must read a window alike however it is padded.

A short window is read alone and beside a longer one. The trial is in float32 whatever the
precision of the training, because rounding in shorter formats is larger than the differences that
it looks for.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from retune.core.errors import RetuneError
from retune.models.config_safety import explained
from retune.tasks.qa.predict.batches import ANSWER, Collator, real_tokens, span_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CONTEXT = 24  # tokens of the context in the longer window; the shorter one has half
_CHOOSE = "choose another encoder for qa.checkpoint, such as one of the BERT or RoBERTa families"


def require_readable(
    model: "PreTrainedModel", collator: Collator, window: Mapping[str, Any]
) -> None:
    """Try `model` on a row of features that has at least two tokens of context.

    Raises:
        RetuneError: it fails, its logits depend on padding, or its CLS token sees nothing.
    """
    if collator.packed:  # `retune.tasks.qa.predict.packing` has tried it, and no window is padded
        return
    family = model.config.model_type
    collator = dataclasses.replace(collator, length_step=1)
    tokens = min(int(window["context_end"] - window["context_start"]), _CONTEXT)
    short, long = _cut(window, tokens // 2), _cut(window, tokens)
    with explained(
        f"{family} cannot read a window as qa.checkpoint's tokenizer makes it", f"; {_CHOOSE}"
    ):
        (alone,), (padded, longer) = (
            _logits(model, collator, short),
            _logits(model, collator, short, long),
        )
    moved = float((alone - padded).abs().max())
    largest = float(alone.abs().max())
    if moved > 1e-3 * float(alone.std()) + 1e-5 * largest:
        raise RetuneError(
            f"{family}: the logits of a window move by {moved:.2g} with its padding, so that "
            f"answers would depend on what else is in the batch; {_CHOOSE}"
        )
    cls = int(window["cls"])
    blind = cls < window["context_start"] and torch.allclose(padded[cls], longer[cls], 1e-6, 0.0)
    if blind and type(model).__module__.startswith("transformers."):
        raise RetuneError(
            f"{family}: the CLS token in front of a window does not see the rest of it, as in "
            "models that read from left to right, so it cannot learn that there is no answer; "
            f"{_CHOOSE}"
        )


def _cut(window: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """`window` with the first `tokens` of its context."""
    first, last = int(window["context_start"]) + tokens, int(window["context_end"])
    names = ("input_ids", "token_type_ids")
    kept = {name: np.delete(window[name], np.s_[first:last]) for name in names}
    return kept | dict.fromkeys(ANSWER, 0)


def _logits(model: "PreTrainedModel", collator: Collator, *windows: dict[str, Any]) -> list[Tensor]:
    """Start and end logits of the real tokens of each window, shape (T, 2) each."""
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            batch = collator(windows)
            logits = torch.stack(span_logits(model, batch), dim=-1)
    finally:
        model.train(training)
    return [row[real] for row, real in zip(logits, real_tokens(batch), strict=True)]
