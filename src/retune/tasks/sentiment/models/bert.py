"""Any pretrained encoder, cased or not, with a head over the first token (Devlin et al. 2019)."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from retune.core.errors import RetuneError
from retune.core.params import STRICT, NotNegative
from retune.models.encoders import encoder_config, load_encoder_and_missing
from retune.models.tokenizer_checks import require_vocabulary
from retune.tasks.sentiment.models import NAMED_LABELS


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.models.bert`.

    `dropout` replaces every dropout probability of the encoder; null keeps its own. The last
    `fresh_layers` of the encoder, and all above them, begin with random weights: what they learned
    before may be of no use to the task, and costs epochs to unlearn (Zhang et al. 2021).
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None
    fresh_layers: NotNegative

    @property
    def pretrained(self) -> bool:
        """Whether the model starts from pretrained weights."""
        return True


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Load the encoder in the folder `pretrained` with a head; `pad_token_id` is not used.

    The head is fresh unless the pretrained model has one for two labels and no layer below it is
    fresh.

    Raises:
        RetuneError: transformers cannot read the folder as such a model, weights of the encoder
            are missing or of other sizes, it has fewer embeddings than the tokenizer has ids, or
            fewer layers than are to be fresh.
    """
    config = encoder_config(pretrained, params.dropout, **NAMED_LABELS)
    model, drawn = load_encoder_and_missing(AutoModelForSequenceClassification, pretrained, config)
    require_vocabulary(model.config.vocab_size, vocabulary_size, pretrained)
    if params.fresh_layers:
        _renew(model, params.fresh_layers, drawn, pretrained)
    return model


def _renew(model: PreTrainedModel, count: int, drawn: Collection[str], pretrained: Path) -> None:
    """Draw fresh weights for the last `count` layers and, unless `drawn`, for all above them."""
    layers = _layers(model)
    if count > len(layers):
        raise RetuneError(
            f"sentiment.models.bert.fresh_layers is {count}, but {pretrained} has {len(layers)} "
            "layers with weights of their own; lower it"
        )
    fresh = type(model)(model.config)
    for before, after in zip(_top(model, count), _top(fresh, count), strict=True):
        before.load_state_dict(after.state_dict())
    encoder = f"{model.base_model_prefix}."
    head = {
        name: weight
        for name, weight in fresh.state_dict().items()
        if not name.startswith(encoder) and name not in drawn
    }
    model.load_state_dict(head, strict=False)


def _top(model: PreTrainedModel, count: int) -> list[nn.Module]:
    """The last `count` layers and the pooler, where the encoder has one."""
    pooler = getattr(model.base_model, "pooler", None)
    return [*_layers(model)[-count:], *([pooler] if isinstance(pooler, nn.Module) else [])]


def _layers(model: PreTrainedModel) -> list[nn.Module]:
    """The layers of the encoder, from the lowest: its longest list of modules."""
    lists = [m for m in model.base_model.modules() if isinstance(m, nn.ModuleList)]
    return list(max(lists, key=len, default=()))
