"""Word-piece embeddings of the models that have no encoder: the checkpoint's, or random ones."""

from pathlib import Path

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from retune.core.params import STRICT, Positive
from retune.models.encoders import load_encoder_embeddings
from retune.models.tokenizer_checks import require_vocabulary


@dataclass(frozen=True, config=STRICT)
class EmbeddingParams:
    """Part of the sections of such models.

    With `pretrained_embeddings` the embeddings are the checkpoint's, at its size, and
    `embedding_size` is not used; `freeze_embeddings` keeps them as they start.
    """

    embedding_size: Positive
    pretrained_embeddings: bool
    freeze_embeddings: bool

    def __post_init__(self) -> None:
        if self.freeze_embeddings and not self.pretrained_embeddings:
            raise ValueError("freeze_embeddings would keep random embeddings; set one of the two")

    @property
    def pretrained(self) -> bool:
        """Whether the model begins with weights of the checkpoint."""
        return self.pretrained_embeddings


def pretrained_embeddings(
    params: EmbeddingParams, checkpoint: Path, vocabulary_size: int
) -> Tensor | None:
    """The embeddings (V, E) in the folder `checkpoint`, where `params` asks for them.

    Raises:
        RetuneError: they are absent or fewer than the ids.
    """
    if not params.pretrained_embeddings:
        return None
    words = load_encoder_embeddings(checkpoint)
    require_vocabulary(words.shape[0], vocabulary_size, checkpoint)
    return words


def fill(embedding: nn.Embedding, words: Tensor | None, params: EmbeddingParams) -> None:
    """Put `words`, where there are any, into a fresh embedding, and freeze it if so asked."""
    if words is not None:
        with torch.no_grad():
            embedding.weight.copy_(words)
    embedding.weight.requires_grad_(not params.freeze_embeddings)
