"""A frozen encoder with low-rank updates (LoRA, Hu et al. 2021) and a span head."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import PreTrainedModel

from retune.adapters.bundles import LoraParts, insert
from retune.core.params import STRICT
from retune.models.encoders import span_model


@dataclass(frozen=True, config=STRICT)
class Params(LoraParts):
    """Section `qa.models.bert_lora`.

    `dropout` is in front of LoRA's matrices; `encoder_dropout` replaces every dropout
    probability of the encoder, and null keeps its own.
    """

    encoder_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """The encoder in the folder `pretrained`, frozen; LoRA's matrices and the head are fresh.

    Raises:
        RetuneError: the encoder is of another architecture, or has no such targets.
    """
    model = span_model(pretrained, params.encoder_dropout, vocabulary_size)
    insert(model, LoraParts(params.rank, params.alpha, params.dropout, params.targets))
    return model
