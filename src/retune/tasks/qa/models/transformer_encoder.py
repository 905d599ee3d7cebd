"""A small encoder from scratch: positions, segments and pre-norm layers.

Vaswani et al. 2017 with BERT's inputs (Devlin et al. 2019), the normalisation in front
of each sub-layer (Xiong et al. 2020), which trains without a long warm-up, and GELU.
"""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import (
    AutoModelForQuestionAnswering,
    PretrainedConfig,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from retune.core.errors import RetuneError
from retune.core.params import STRICT, Positive
from retune.models.encoders import fill, initial_embeddings
from retune.models.registration import registered
from retune.tasks.qa.predict.attention import Packing
from retune.tasks.qa.predict.transformer_layer import EncoderLayer, key_mask


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.transformer_encoder`.

    With `pretrained_embeddings`, the word-piece embeddings are initialized from the pretrained
    encoder, at its size, and a linear map brings them to `hidden_size`.
    """

    hidden_size: Positive
    layers: Positive
    attention_heads: Positive
    feed_forward_size: Positive
    max_positions: Positive
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    pretrained_embeddings: bool

    def __post_init__(self) -> None:
        if self.hidden_size % self.attention_heads:
            raise ValueError("hidden_size must be a multiple of attention_heads")


class TransformerEncoderConfig(PretrainedConfig):
    """Sizes of `TransformerEncoderForQuestionAnswering`."""

    model_type = "retune_transformer_encoder"

    vocab_size: int = 1
    pad_token_id: int | None = None
    embedding_size: int = 1
    hidden_size: int = 1
    layers: int = 1
    attention_heads: int = 1
    feed_forward_size: int = 1
    max_position_embeddings: int = 1
    type_vocab_size: int = 2
    dropout: float = 0.0


class Embeddings(nn.Module):
    """Sum of word-piece, position and segment embeddings, normalised."""

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.embedding_size)
        self.projection: nn.Module = nn.Identity()
        if config.embedding_size != config.hidden_size:
            self.projection = nn.Linear(config.embedding_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segments = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor | None, position_ids: Tensor | None
    ) -> Tensor:
        """Vectors (B, T, H) of ids, segments and positions (B, T)."""
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        length, limit = int(position_ids.max()) + 1, self.positions.num_embeddings
        if length > limit:
            raise RetuneError(
                f"transformer_encoder: windows of {length} tokens, but the model has {limit} "
                "positions; lower max_length or raise qa.models.transformer_encoder.max_positions"
            )
        vectors = self.projection(self.words(input_ids)) + self.positions(position_ids)
        if token_type_ids is not None:
            vectors = vectors + self.segments(token_type_ids)
        return self.dropout(self.norm(vectors))  # type: ignore[no-any-return]


@registered(AutoModelForQuestionAnswering)
class TransformerEncoderForQuestionAnswering(PreTrainedModel):
    """Embeddings, pre-norm encoder layers, linear to 2 logits."""

    config_class = TransformerEncoderConfig
    _supports_attention_backend = True
    _supports_sdpa = True

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__(config)
        self.embeddings = Embeddings(config)
        layers = (
            EncoderLayer(
                config.hidden_size,
                config.attention_heads,
                config.feed_forward_size,
                config.dropout,
                activation=nn.functional.gelu,
                norm_first=True,
            )
            for _ in range(config.layers)
        )
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.output = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """BERT's initialisation: normal with deviation 0.02, biases zero."""
        if isinstance(module, nn.Linear | nn.Embedding):
            initialization.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            initialization.zeros_(module.bias)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        packing: Packing | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T).

        Raises:
            RetuneError: a position is above the configuration's `max_position_embeddings`.
        """
        mask = key_mask(attention_mask)
        states = self.embeddings(input_ids, token_type_ids, position_ids)
        for layer in self.layers:
            states = layer(states, mask, packing)
        start, end = self.output(self.norm(states)).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Build a fresh model, with pretrained word-piece embeddings if params say so.

    Raises:
        RetuneError: the pretrained embeddings are absent or fewer than the ids.
    """
    words = initial_embeddings(pretrained, vocabulary_size, wanted=params.pretrained_embeddings)
    rows, size = (vocabulary_size, params.hidden_size) if words is None else words.shape
    config = TransformerEncoderConfig(
        vocab_size=rows,
        embedding_size=size,
        pad_token_id=pad_token_id,
        hidden_size=params.hidden_size,
        layers=params.layers,
        attention_heads=params.attention_heads,
        feed_forward_size=params.feed_forward_size,
        max_position_embeddings=params.max_positions,
        dropout=params.dropout,
    )
    model = TransformerEncoderForQuestionAnswering(config)
    fill(model.embeddings.words, words)
    return model
