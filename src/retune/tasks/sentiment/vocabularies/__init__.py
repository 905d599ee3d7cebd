"""Tokenizers by name: a module each, with `Params` and `tokenizer(params, checkpoint, texts)`.

`checkpoint` is the section `sentiment.checkpoint`; `texts` are the texts of the train split.
"""

from retune.core.errors import RetuneError

#: Whose ids are those that the weights of the checkpoint know.
OF_CHECKPOINT = "checkpoint"


def require_own_ids(vocabulary: str, model: str, *, pretrained: bool) -> None:
    """Refuse weights that were trained on the ids of another vocabulary.

    Raises:
        RetuneError: `model` begins with weights of the checkpoint, which `vocabulary` is not of.
    """
    if pretrained and vocabulary != OF_CHECKPOINT:
        raise RetuneError(
            f"sentiment.vocabulary: {vocabulary!r} has other ids than the checkpoint, with whose "
            f"weights {model} begins; set it to {OF_CHECKPOINT!r}, or take a model that begins "
            "with random embeddings (lstm with pretrained_embeddings: false)"
        )
