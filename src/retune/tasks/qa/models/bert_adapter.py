"""A frozen encoder with an adapter and a span head (Houlsby et al. 2019, Pfeiffer et al. 2020)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import PreTrainedModel

from retune.adapters.adapter_reuse import BundleParams, bundle_folder, insert_on
from retune.adapters.layers import AdapterParams
from retune.core.params import STRICT
from retune.models.encoders import span_model

NAME = "qa"


@dataclass(frozen=True, config=STRICT)
class Params(AdapterParams):
    """Section `qa.models.bert_adapter`: an adapter, and the one below it.

    `dropout` replaces every dropout probability of the encoder; null keeps its own. The last
    adapter of the bundle `language`, with its invertible layers, is below it, frozen.
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    language: BundleParams | None

    def __post_init__(self) -> None:
        if self.language is not None and self.invertible_reduction is not None:
            raise ValueError("only the first of a stack may have invertible layers: set "
                             "invertible_reduction to null, or language")  # fmt: skip

    def adapter(self) -> AdapterParams:
        """The adapter's own part."""
        names = AdapterParams.__dataclass_fields__
        return AdapterParams(**{name: getattr(self, name) for name in names})


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """The encoder in the folder `pretrained`, frozen; adapter and head are fresh.

    Raises:
        RetuneError: the encoder is of another architecture, or the language adapter's bundle is
            missing, not the pinned one, or of another encoder.
    """
    model = span_model(pretrained, params.dropout, vocabulary_size)
    language = bundle_folder(params.language) if params.language else None
    insert_on(model, language, NAME, params.adapter(), base=pretrained)
    return model
