"""The course notebook's Transformer: one post-norm encoder layer without positions.

The layer is Vaswani et al. 2017, section 3.1. Without position information it sees a
window as a bag of tokens: faithful to the notebook, and weak for that reason.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from retune.core.params import STRICT, Positive
from retune.models.registration import registered
from retune.tasks.qa.predict.attention import Packing
from retune.tasks.qa.predict.transformer_layer import EncoderLayer, key_mask


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.transformer`; the notebook's values are 768, 12, 2048 and 0.1."""

    embedding_size: Positive
    attention_heads: Positive
    feed_forward_size: Positive
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]

    def __post_init__(self) -> None:
        if self.embedding_size % self.attention_heads:
            raise ValueError("embedding_size must be a multiple of attention_heads")


class TransformerConfig(PretrainedConfig):
    """Sizes of `TransformerForQuestionAnswering`."""

    model_type = "retune_transformer"

    vocab_size: int = 1
    pad_token_id: int | None = None
    embedding_size: int = 1
    attention_heads: int = 1
    feed_forward_size: int = 1
    dropout: float = 0.0


@registered(AutoModelForQuestionAnswering)
class TransformerForQuestionAnswering(PreTrainedModel):
    """Embedding, one encoder layer, linear to 2 logits."""

    config_class = TransformerConfig
    _supports_attention_backend = True
    _supports_sdpa = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.layer = EncoderLayer(
            config.embedding_size, config.attention_heads, config.feed_forward_size, config.dropout
        )
        self.output = nn.Linear(config.embedding_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Keep PyTorch's own initialisation, as the notebook did."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        packing: Packing | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T); neither segments nor positions are used."""
        states = self.layer(self.embedding(input_ids), key_mask(attention_mask), packing)
        start, end = self.output(states).unbind(dim=-1)
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Build a fresh model for the tokenizer's vocabulary; `pretrained` is not used."""
    config = TransformerConfig(
        vocab_size=vocabulary_size,
        pad_token_id=pad_token_id,
        embedding_size=params.embedding_size,
        attention_heads=params.attention_heads,
        feed_forward_size=params.feed_forward_size,
        dropout=params.dropout,
    )
    return TransformerForQuestionAnswering(config)
