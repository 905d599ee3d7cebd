"""The params of models without an encoder: pretrained embeddings, or random ones."""

from pydantic.dataclasses import dataclass

from retune.core.params import STRICT, Positive


@dataclass(frozen=True, config=STRICT)
class EmbeddingParams:
    """Part of the sections of such models.

    With `pretrained_embeddings` the embeddings are the encoder's, at its size, and
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
        """Whether the model starts from pretrained weights."""
        return self.pretrained_embeddings
