"""The tokenizer that the checkpoint comes with."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.models.checkpoints import CheckpointParams, load_tokenizer, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.vocabularies.checkpoint`, which has nothing to set."""


def tokenizer(
    params: Params, checkpoint: CheckpointParams, texts: Iterable[str]
) -> "PreTrainedTokenizerFast":
    """The checkpoint's tokenizer; `texts` change nothing."""
    del params, texts
    return load_tokenizer(resolve(checkpoint, "sentiment.checkpoint"))
