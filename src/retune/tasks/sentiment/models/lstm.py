"""Embedding, an LSTM in each direction, pooled over the text, linear to the labels."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from retune.core.params import STRICT, Positive
from retune.models.encoders import fill, initial_embeddings
from retune.models.pooling import masked_mean
from retune.models.recurrent import BidirectionalLSTM, require_right_padding
from retune.models.registration import registered
from retune.tasks.sentiment.models import NAMED_LABELS
from retune.tasks.sentiment.models._embeddings import EmbeddingParams
from retune.tasks.sentiment.texts.examples import LABELS

Pooling = Literal["mean", "last"]


@dataclass(frozen=True, config=STRICT)
class Params(EmbeddingParams):
    """Section `sentiment.models.lstm`; for the embeddings, see `EmbeddingParams`.

    `hidden_size` is one direction's. `pooling`: the mean of all states, or the last of each
    direction. `dropout` applies to the embeddings and the pooled states.
    """

    hidden_size: Positive
    pooling: Pooling
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]


class LstmConfig(PretrainedConfig):
    """Sizes of `LstmForSequenceClassification`."""

    model_type = "retune_sentiment_lstm"

    vocab_size: int = 1
    pad_token_id: int | None = None
    embedding_size: int = 1
    hidden_size: int = 1
    pooling: str = "mean"
    dropout: float = 0.0


@registered(AutoModelForSequenceClassification)
class LstmForSequenceClassification(PreTrainedModel):
    """Reads each text's own tokens from both ends, as over packed sequences, but faster."""

    config_class = LstmConfig
    _input_embed_layer = "embedding"  # what get_input_embeddings gives

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = BidirectionalLSTM(config.embedding_size, config.hidden_size)
        self.output = nn.Linear(2 * config.hidden_size, len(LABELS))
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Keep PyTorch's own initialisation, which suits recurrent layers."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        """Logits (B, 2) of right-padded texts (B, T).

        Raises:
            RetuneError: a text is padded on the left.
        """
        require_right_padding(attention_mask, "lstm: a text")
        lengths = attention_mask.sum(dim=1)
        states = self.lstm(self.dropout(self.embedding(input_ids)), lengths)
        pooled = self.dropout(self._pooled(states, attention_mask, lengths))
        return SequenceClassifierOutput(logits=self.output(pooled))

    def _pooled(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """Pool the states (B, T, 2H) of both directions to one (B, 2H) for each text."""
        if self.config.pooling == "mean":
            return masked_mean(states, mask)
        ahead, back = states.chunk(2, dim=-1)
        rows = torch.arange(len(states), device=states.device)
        # Reading backwards, the last token is the first.
        return torch.cat([ahead[rows, (lengths - 1).clamp(min=0)], back[:, 0]], dim=-1)


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Build a fresh model, with pretrained embeddings if params say so."""
    words = initial_embeddings(pretrained, vocabulary_size, wanted=params.pretrained_embeddings)
    rows, size = (vocabulary_size, params.embedding_size) if words is None else words.shape
    config = LstmConfig(
        vocab_size=rows,
        embedding_size=size,
        pad_token_id=pad_token_id,
        hidden_size=params.hidden_size,
        pooling=params.pooling,
        dropout=params.dropout,
        **NAMED_LABELS,
    )
    model = LstmForSequenceClassification(config)
    fill(model.embedding, words, freeze=params.freeze_embeddings)
    return model
