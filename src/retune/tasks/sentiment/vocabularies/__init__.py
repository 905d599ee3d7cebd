"""Tokenizers by name: a module each, with `Params` and `tokenizer(params, pretrained, texts)`.

`pretrained` is the section `sentiment.checkpoint`; `texts` are the texts of the train split.
"""

from retune.core.errors import RetuneError
from retune.core.params import Chosen

#: The vocabulary that pretrained weights belong to.
OF_PRETRAINED = "checkpoint"


def require_own_ids(model: Chosen, vocabulary: str) -> None:
    """Refuse weights that were trained on the ids of another vocabulary.

    Raises:
        RetuneError: `model` starts from pretrained weights, and `vocabulary` has other ids.
    """
    if model.params.pretrained and vocabulary != OF_PRETRAINED:
        name = model.module.__name__.rpartition(".")[2]
        raise RetuneError(
            f"sentiment.vocabulary: {vocabulary!r} has other ids than the pretrained weights that "
            f"{name} starts from; set it to {OF_PRETRAINED!r}, or choose a model that starts "
            "from random embeddings (lstm with pretrained_embeddings: false)"
        )
