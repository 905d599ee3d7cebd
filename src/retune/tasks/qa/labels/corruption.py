"""Wrong labels, made from right ones in the two ways in which annotation goes wrong."""

import re
from collections.abc import Sequence
from random import Random
from typing import Literal, get_args

from retune.core.unspaced_scripts import UNSPACED

#: The first character of a label in its context, and the one behind its last.
Span = tuple[int, int]
Kind = Literal["shifted", "swapped"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: A word without punctuation around it, so that a shifted label looks like any other.
_WORD = re.compile(rf"{UNSPACED.pattern}|(?:(?!{UNSPACED.pattern})\w)+(?:['\u2019.,-]\w+)*")
_STEPS = (-3, -2, -1, 1, 2, 3)


def words_of(text: str) -> list[Span]:
    """Return the words of a text; in scripts without spaces, its characters."""
    return [match.span() for match in _WORD.finditer(text)]


def neighbours(words: Sequence[Span], span: Span) -> list[Span]:
    """Return the spans of as many words that begin up to three words before or behind a span.

    Args:
        words: of the context.
        span: in the context.
    """
    inside = [at for at, (start, end) in enumerate(words) if start < span[1] and span[0] < end]
    if not inside:
        return []
    moved = ((inside[0] + step, inside[-1] + step) for step in _STEPS)
    found = [
        (words[first][0], words[last][1])
        for first, last in moved
        if first >= 0 and last < len(words)
    ]
    return [each for each in found if each != span]


def corrupted(
    kind: Kind, words: Sequence[Span], span: Span, others: Sequence[Span], generator: Random
) -> Span | None:
    """Return a wrong label in place of `span`; None if this passage has none of the kind.

    Args:
        kind: `shifted` is up to three words away from the label; `swapped` is the label of
            another question that does not touch it.
        words: of the context.
        span: the label.
        others: the labels of the other questions on this passage.
        generator: draws one of those that are possible.
    """
    if kind == "shifted":
        possible = neighbours(words, span)
    else:
        possible = [each for each in others if each[1] <= span[0] or span[1] <= each[0]]
    return generator.choice(possible) if possible else None
