"""Any pretrained encoder with a span head (Devlin et al. 2019, section 4.2)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import PreTrainedModel

from retune.core.params import STRICT
from retune.models.encoders import span_model


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.bert`.

    `dropout` replaces every dropout probability of the encoder; null keeps its own.
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """The encoder in the folder `pretrained` with a span head; `pad_token_id` is not used."""
    return span_model(pretrained, params.dropout, vocabulary_size)
