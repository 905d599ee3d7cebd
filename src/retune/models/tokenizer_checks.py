"""Checks of a tokenizer that was read from a folder, before it is used."""

from pathlib import Path
from typing import TYPE_CHECKING

from retune.core.errors import RetuneError, excerpt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SAMPLE = "A b\u00e9 1, \u4e00."
_LONGEST_PADDING = 1_000_000  # tokens
_SPARE = 10_000  # unused ids that a vocabulary may have, besides as many as its tokens


def id_count(tokenizer: "PreTrainedTokenizerFast") -> int:
    """The number of embeddings that a tokenizer's ids need, unused ids included."""
    return max(len(tokenizer), 1 + max(tokenizer.get_vocab().values(), default=-1))


def require_vocabulary(
    rows: int,
    vocabulary_size: int,
    model: Path | str,
    remedy: str = "the two do not belong together",
) -> None:
    """Check that `rows` embeddings are enough for the tokenizer's `vocabulary_size` ids.

    Args:
        rows: embeddings of the model.
        vocabulary_size: `id_count` of the tokenizer.
        model: its folder or name, for the message.
        remedy: the end of the message.

    Raises:
        RetuneError: some ids would have no embedding.
    """
    if rows < vocabulary_size:
        raise RetuneError(
            f"{model} has embeddings for {rows} tokens, but its tokenizer has {vocabulary_size}; "
            f"{remedy}"
        )


def require_sound(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Check what transformers does not: lengths, ids, and that a text can be read.

    Raises:
        RetuneError: a length is not a number, or an id is beyond the vocabulary.
        Exception: anything that the parts in tokenizer.json raise when they read a text.
    """
    longest = tokenizer.model_max_length
    if isinstance(longest, bool) or not isinstance(longest, int | float) or not longest >= 1:
        raise RetuneError(
            f"{tokenizer.name_or_path}: model_max_length in tokenizer_config.json is "
            f"{excerpt(longest)}; it must be a number of tokens, 1 or more"
        )
    tokens, count = len(tokenizer), id_count(tokenizer)
    if count > 2 * tokens + _SPARE:
        raise RetuneError(
            f"{tokenizer.name_or_path}: the vocabulary has {tokens:,} tokens but the id "
            f"{count - 1:,}; tokenizer.json is damaged"
        )
    backend = tokenizer.backend_tokenizer
    padding = backend.padding or {}
    longest_padding = max(padding.get(key) or 0 for key in ("length", "pad_to_multiple_of"))
    if longest_padding > _LONGEST_PADDING:  # the library would end the process
        raise RetuneError(
            f"{tokenizer.name_or_path}: tokenizer.json pads each text to {longest_padding:,} "
            "tokens; set `padding` there to null"
        )
    highest = max((*backend.encode(_SAMPLE).ids, *backend.encode(_SAMPLE, _SAMPLE).ids), default=0)
    if highest >= count:
        raise RetuneError(
            f"{tokenizer.name_or_path}: tokenizer.json gives the id {highest:,}, but its "
            f"vocabulary ends at {count - 1:,}; the file is damaged"
        )
