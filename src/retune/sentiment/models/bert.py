"""Any pretrained encoder, cased or not, with a head over the first token (Devlin et al. 2019)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from retune.checkpoints import require_vocabulary
from retune.encoders import encoder_config, load_encoder
from retune.params import STRICT
from retune.sentiment.models import NAMED_LABELS


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `sentiment.models.bert`.

    `dropout` replaces every dropout probability of the encoder; null keeps its own.
    """

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | None

    @property
    def pretrained(self) -> bool:
        """Whether the model begins with weights of the checkpoint."""
        return True


def build(
    params: Params, checkpoint: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """The encoder in the folder `checkpoint` with a head; `pad_token_id` is not used.

    The head is fresh unless the checkpoint was fine-tuned to tell two labels and brings one.

    Raises:
        RetuneError: transformers cannot read the folder as such a model, weights of the encoder
            are missing or of other sizes, or it has fewer embeddings than the tokenizer has ids.
    """
    config = encoder_config(checkpoint, params.dropout, **NAMED_LABELS)
    model = load_encoder(AutoModelForSequenceClassification, checkpoint, config)
    require_vocabulary(model.config.vocab_size, vocabulary_size, checkpoint)
    return model
