"""Tokens as people read them: pieces of text, each with its probability.

In a byte-level vocabulary a token may be a part of a character. The tokens of such a character are
one piece, so that no piece holds half a character.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_INCOMPLETE = "\ufffd"  # what bytes are decoded as that make no character


class Piece(NamedTuple):
    """The text of one token, or of several that make whole characters together only."""

    text: str
    probabilities: list[float]  # of its tokens

    @property
    def probability(self) -> float:
        """That of all of its tokens together."""
        return math.prod(self.probabilities)


def pieces(
    decode: Callable[[list[int]], str],
    prompt: Sequence[int],
    tokens: Sequence[int],
    probabilities: Sequence[float],
) -> list[Piece]:
    """The pieces of what follows a prompt; put together they are its text.

    Args:
        decode: makes a text of tokens.
        prompt: the tokens before, which decide whether there is a space between.
        tokens: those that follow.
        probabilities: of these.
    """
    found, before, begin = [], decode(list(prompt)), 0
    for end in range(1, len(tokens) + 1):
        text = decode([*prompt, *tokens[:end]])
        if text.endswith(_INCOMPLETE) and end < len(tokens):
            continue
        found.append(Piece(text[len(before) :], list(probabilities[begin:end])))
        before, begin = text, end
    return found
