"""Pieces of text for the tokens of a continuation, each with its probability.

In a byte-level vocabulary a token may be a part of a character. The tokens of such a character make
one piece, so that no piece holds half a character.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_INCOMPLETE = "\ufffd"  # the decoded form of bytes that make no whole character


class Piece(NamedTuple):
    """The text of one token, or of several that only together make whole characters."""

    text: str
    probabilities: list[float]  # of its tokens

    @property
    def probability(self) -> float:
        """The joint probability of its tokens."""
        return math.prod(self.probabilities)


def pieces(
    decode: Callable[[list[int]], str],
    prompt: Sequence[int],
    tokens: Sequence[int],
    probabilities: Sequence[float],
) -> list[Piece]:
    """Split the text that follows a prompt into pieces.

    Args:
        decode: makes a text of tokens.
        prompt: the tokens before, which decide whether there is a space between.
        tokens: those after the prompt.
        probabilities: of `tokens`.
    """
    found, before, begin = [], decode(list(prompt)), 0
    for end in range(1, len(tokens) + 1):
        text = decode([*prompt, *tokens[:end]])
        if text.endswith(_INCOMPLETE) and end < len(tokens):
            continue
        found.append(Piece(text[len(before) :], list(probabilities[begin:end])))
        before, begin = text, end
    return found
