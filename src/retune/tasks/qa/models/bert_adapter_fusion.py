"""A frozen encoder with a fusion of trained adapters and a span head (Pfeiffer et al. 2021)."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import PreTrainedModel

from retune.adapters.adapter_reuse import (
    LANGUAGE,
    BundleParams,
    adapter_params,
    bundle_folder,
    load_adapter,
)
from retune.adapters.bundles import AdapterParts, insert
from retune.adapters.layers import fusion_penalty
from retune.core.errors import RetuneError
from retune.core.params import STRICT
from retune.models.encoders import span_model


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.bert_adapter_fusion`: which adapters are fused, on which language.

    `dropout` replaces every dropout probability of the encoder; null keeps its own. The
    last adapter of each bundle is used, frozen.
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    adapters: list[BundleParams]
    language: BundleParams | None

    def __post_init__(self) -> None:
        if len(self.adapters) < 2:
            raise ValueError("a fusion needs two adapters or more; for one, use bert_adapter")


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """The encoder and the adapters, frozen; fusion and head are fresh.

    Raises:
        RetuneError: the encoder is of another architecture, a bundle is missing, not the
            pinned one, or of another encoder, or the adapters cannot be fused.
    """
    model = span_model(pretrained, params.dropout, vocabulary_size)
    folders = [bundle_folder(bundle) for bundle in params.adapters]
    stored = [adapter_params(folder) for folder in folders]
    for folder, adapter in zip(folders, stored, strict=True):
        if adapter.params.invertible_reduction is not None:
            raise RetuneError(
                f"{folder}: the adapter {adapter.name} has invertible layers, which cannot be "
                "fused; name this bundle as `language`, which goes below the fusion"
            )
    fused = _names([adapter.name for adapter in stored])
    sources = dict(zip(fused, folders, strict=True))
    if params.language is not None:
        sources = {LANGUAGE: bundle_folder(params.language)} | sources
    adapters = {name: adapter_params(folder).params for name, folder in sources.items()}
    below = [] if params.language is None else [LANGUAGE]
    insert(model, AdapterParts(adapters, [*below, fused]))
    for name, folder in sources.items():
        load_adapter(model, folder, name, base=pretrained)
    fusing: Any = model
    fusing.penalty = partial(fusion_penalty, model)
    return model


def _names(names: list[str]) -> list[str]:
    """Make `names` unique: a name that is repeated or a language's gets a number."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free in [LANGUAGE, *found]:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found
