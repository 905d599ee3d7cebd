"""A recurrent reader whose tokens attend to the question, before and after reading.

In the spirit of DrQA (Chen et al. 2017: aligned question embedding, exact match, question
summary by self-attention, bilinear scores) and BiDAF (Seo et al. 2017: attention between
encoded context and question, a modelling layer behind it). Question and context are read
as one sequence, so that the CLS token in front sees both and can score "no answer".
"""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from retune.core.errors import RetuneError
from retune.core.params import STRICT, Positive
from retune.models.encoders import fill, initial_embeddings
from retune.models.recurrent import BidirectionalLSTM, require_right_padding
from retune.models.registration import registered


@dataclass(frozen=True, config=STRICT)
class Params:
    """Section `qa.models.bilstm_attention`.

    `hidden_size` is one direction's. With `pretrained_embeddings` the word-piece
    embeddings are the encoder's, at its size, and `embedding_size` is not used;
    `freeze_embeddings` keeps them as they start.
    """

    embedding_size: Positive
    hidden_size: Positive
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    pretrained_embeddings: bool
    freeze_embeddings: bool

    def __post_init__(self) -> None:
        if self.freeze_embeddings and not self.pretrained_embeddings:
            raise ValueError("freeze_embeddings would keep random embeddings; set one of the two")


class BilstmAttentionConfig(PretrainedConfig):
    """Sizes of `BilstmAttentionForQuestionAnswering`."""

    model_type = "retune_bilstm_attention"

    vocab_size: int = 1
    pad_token_id: int | None = None
    embedding_size: int = 1
    hidden_size: int = 1
    dropout: float = 0.0


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension where `mask` holds; all zeros where it never does."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=-1) * mask


class QuestionAttention(nn.Module):
    """For each token a mixture of the question's vectors (DrQA's aligned embedding)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(size, size)

    def forward(self, vectors: Tensor, question: Tensor) -> Tensor:
        """Mixtures (B, T, I) of `vectors` (B, T, I) where `question` (B, T) holds."""
        projected = self.projection(vectors).relu() * vectors.shape[-1] ** -0.25
        weights = masked_softmax(projected @ projected.transpose(1, 2), question[:, None])
        return weights @ vectors


class Span(nn.Module):
    """Bilinear start and end scores; the end also sees where the start probably is."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.summary = nn.Linear(size, 1)
        self.start = nn.Linear(size, size)
        self.end = nn.Linear(2 * size, size)

    def forward(self, states: Tensor, question: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, T) from states (B, T, H) and masks (B, T)."""
        weights = masked_softmax(self.summary(states).squeeze(-1), question)
        asked = _mix(weights, states)
        start = _score(states, self.start(asked))
        begun = _mix(masked_softmax(start, real), states)
        end = _score(states, self.end(torch.cat([asked, begun], dim=-1)))
        return start, end


def _mix(weights: Tensor, vectors: Tensor) -> Tensor:
    return torch.einsum("bt,bth->bh", weights, vectors)


def _score(vectors: Tensor, query: Tensor) -> Tensor:
    return torch.einsum("bth,bh->bt", vectors, query)


@registered(AutoModelForQuestionAnswering)
class BilstmAttentionForQuestionAnswering(PreTrainedModel):
    """Embedding, attention, BiLSTM, attention, BiLSTM, span scores."""

    config_class = BilstmAttentionConfig

    def __init__(self, config: BilstmAttentionConfig) -> None:
        super().__init__(config)
        size, states = config.embedding_size, 2 * config.hidden_size
        self.embedding = nn.Embedding(config.vocab_size, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(config.dropout)
        self.align = QuestionAttention(size)
        self.reader = BidirectionalLSTM(2 * size + 2, config.hidden_size)
        self.attend = QuestionAttention(states)
        self.modeller = BidirectionalLSTM(3 * states, config.hidden_size)
        self.span = Span(2 * states)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Keep PyTorch's own initialisation, which suits recurrent layers."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> QuestionAnsweringModelOutput:
        """Start and end logits (B, T) of right-padded windows; type 1 is the context.

        Raises:
            RetuneError: a window is padded on the left, or there are no segments.
        """
        if token_type_ids is None:
            raise RetuneError("bilstm_attention: needs token_type_ids to recognise the question")
        require_right_padding(attention_mask, "bilstm_attention: a window")
        real = attention_mask.bool()
        question = real & (token_type_ids == 0)
        lengths = attention_mask.sum(dim=1)

        words = self.dropout(self.norm(self.embedding(input_ids)))
        seen = (input_ids[:, :, None] == input_ids[:, None, :]) & question[:, None]
        flags = torch.stack([seen.any(dim=-1), question], dim=-1).to(words.dtype)
        inputs = torch.cat([words, self.align(words, question), flags], dim=-1)
        read = self.dropout(self.reader(inputs, lengths))
        asked = self.attend(read, question)
        inputs = torch.cat([read, asked, read * asked], dim=-1)
        modelled = self.dropout(self.modeller(inputs, lengths))
        start, end = self.span(torch.cat([read, modelled], dim=-1), question, real)
        return QuestionAnsweringModelOutput(start_logits=start, end_logits=end)


def build(
    params: Params, pretrained: Path, vocabulary_size: int, pad_token_id: int
) -> PreTrainedModel:
    """Build a fresh model, with pretrained word-piece embeddings if params say so.

    Raises:
        RetuneError: the pretrained embeddings are absent or fewer than the ids.
    """
    words = initial_embeddings(pretrained, vocabulary_size, wanted=params.pretrained_embeddings)
    rows, size = (vocabulary_size, params.embedding_size) if words is None else words.shape
    config = BilstmAttentionConfig(
        vocab_size=rows,
        embedding_size=size,
        pad_token_id=pad_token_id,
        hidden_size=params.hidden_size,
        dropout=params.dropout,
    )
    model = BilstmAttentionForQuestionAnswering(config)
    fill(model.embedding, words, freeze=params.freeze_embeddings)
    return model
