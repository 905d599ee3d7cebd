"""Tokenizers by name: a module each, with `Params` and `tokenizer(params, checkpoint, texts)`.

`checkpoint` is the section `sentiment.checkpoint`; `texts` are the texts of the train split.
"""

from retune.core.errors import RetuneError
from retune.core.params import Chosen

#: The vocabulary whose ids the weights of the checkpoint know.
OF_CHECKPOINT = "checkpoint"


def require_own_ids(model: Chosen, vocabulary: str) -> None:
    """Refuse weights that were trained on the ids of another vocabulary.

    Raises:
        RetuneError: `model` begins with weights of the checkpoint, and `vocabulary` has other ids.
    """
    if model.params.pretrained and vocabulary != OF_CHECKPOINT:
        name = model.module.__name__.rpartition(".")[2]
        raise RetuneError(
            f"sentiment.vocabulary: {vocabulary!r} has other ids than the checkpoint, with whose "
            f"weights {name} begins; set it to {OF_CHECKPOINT!r}, or take a model that begins "
            "with random embeddings (lstm with pretrained_embeddings: false)"
        )
