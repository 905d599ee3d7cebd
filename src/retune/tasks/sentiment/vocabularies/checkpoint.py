"""The pretrained encoder's own tokenizer."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT
from retune.models.pretrained_files import PretrainedParams, load_tokenizer, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.vocabularies.checkpoint`, which has nothing to set."""


def tokenizer(
    params: Params, pretrained: PretrainedParams, texts: Iterable[str]
) -> "PreTrainedTokenizerFast":
    """Return the pretrained encoder's tokenizer; `texts` is not used."""
    del params, texts
    return load_tokenizer(resolve(pretrained, "sentiment.checkpoint"))
