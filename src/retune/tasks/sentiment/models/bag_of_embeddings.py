"""The baseline: the mean of a text's embeddings, linear to the labels.

It knows which words occur, but not their order (Joulin et al. 2017, fastText,
without its n-grams).
"""

from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from retune.core.params import STRICT
from retune.models.encoders import fill, initial_embeddings
from retune.models.pooling import masked_mean
from retune.models.registration import registered
from retune.tasks.sentiment.models import NAMED_LABELS
from retune.tasks.sentiment.models._embeddings import EmbeddingParams
from retune.tasks.sentiment.texts.examples import LABELS


@dataclass(frozen=True, config=STRICT)
class Params(EmbeddingParams):
    """Section `sentiment.models.bag_of_embeddings`; see `EmbeddingParams`."""


class BagOfEmbeddingsConfig(PretrainedConfig):
    """Sizes of `BagOfEmbeddingsForSequenceClassification`."""

    model_type = "retune_bag_of_embeddings"

    vocab_size: int = 1
    pad_token_id: int | None = None
    embedding_size: int = 1


@registered(AutoModelForSequenceClassification)
class BagOfEmbeddingsForSequenceClassification(PreTrainedModel):
    """The mean over the real tokens, special ones included, on either side of padding."""

    config_class = BagOfEmbeddingsConfig
    _input_embed_layer = "embedding"  # what get_input_embeddings gives

    def __init__(self, config: BagOfEmbeddingsConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.output = nn.Linear(config.embedding_size, len(LABELS))
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Keep PyTorch's own initialisation."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        """Logits (B, 2) of texts (B, T)."""
        mean = masked_mean(self.embedding(input_ids), attention_mask)
        return SequenceClassifierOutput(logits=self.output(mean))


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Build a fresh model, with pretrained embeddings if params say so."""
    words = initial_embeddings(pretrained, vocabulary_size, wanted=params.pretrained_embeddings)
    rows, size = (vocabulary_size, params.embedding_size) if words is None else words.shape
    config = BagOfEmbeddingsConfig(
        vocab_size=rows, embedding_size=size, pad_token_id=pad_token_id, **NAMED_LABELS
    )
    model = BagOfEmbeddingsForSequenceClassification(config)
    fill(model.embedding, words, freeze=params.freeze_embeddings)
    return model
