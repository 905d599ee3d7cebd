"""Stories, and tokens of texts packed into blocks of equal length.

Packing is checked by hand against its definition: no token is lost
(tests/language_model/test_story_pairs.py).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from retune.core.blocks import Blocks
from retune.core.errors import RetuneError
from retune.tasks.language_model.texts.prompts import Tokens


class Story(NamedTuple):
    """A text, and its place for messages."""

    place: str
    text: str


def pack_tokens(texts: Iterable[Tokens], size: int, between: int | None) -> Blocks:
    """Concatenate texts and cut them into blocks of `size` tokens.

    Args:
        texts: their tokens.
        size: of a block.
        between: the token after each text, such as end of text, or None.

    Raises:
        RetuneError: size is below 2, or the texts make no block.
    """
    if size < 2:
        raise RetuneError(f"block_size: {size} leaves no token to predict; set 2 or more")
    end = [] if between is None else [between]
    stream = [token for text in texts for token in (*text, *end)]
    count = len(stream) // size
    if count == 0:
        raise RetuneError(
            f"block_size: {len(stream)} tokens of text make no block of {size}; lower it, or add "
            "text"
        )
    ids = np.array(stream[: count * size], np.int64).reshape(count, size)
    return Blocks(ids, len(stream) - count * size)
