"""Cutting a tokenized context into overlapping windows and placing answers in them.

A window is one input of the model: special tokens, the question, and as much of the
context as fits. Neighbouring windows of a question share `overlap` context tokens (the
`doc_stride` of BERT's SQuAD code; fast tokenizers call it `stride`), so that an answer
cut by one window's end stands whole in the next.

Everything here is a pure function of arrays; `retune.qa.tokenize` does the reading,
the tokenizer calls and the writing.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Evaluation windows as flat arrays, unpadded; the windows of a question stand together."""

    example: Longs  # (W,) row of the question, never decreasing
    lengths: Ints  # (W,) tokens of the window
    context_start: Ints  # (W,) the window's context tokens are [context_start, context_end)
    context_end: Ints  # (W,)
    cls: Ints  # (W,) position of the CLS token
    char_start: Ints  # (tokens of all windows,) first character in the context
    char_end: Ints  # (tokens of all windows,) behind the last character

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.example)

    @property
    def tokens(self) -> int:
        """Number of tokens in all windows."""
        return int(self.lengths.sum(dtype=np.int64))

    def question_tokens(self) -> Longs:
        """Question i has the tokens [value i, value i + 1) of the flat arrays, shape (N + 1,)."""
        first = np.flatnonzero(changes(self.example, end=True))
        return np.take(self.window_tokens(), first)

    def window_tokens(self) -> Longs:
        """The same for windows, shape (W + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text: `ids` and the characters [`start`, `end`) of each token, shape (T,)."""

    ids: Ints
    start: Ints
    end: Ints


@dataclass(frozen=True, slots=True)
class Template:
    """The special tokens that a tokenizer puts around a pair, with their token types.

    A window is `before + question + between + context + after`.
    """

    before: Ints
    between: Ints
    after: Ints
    before_types: Ints
    between_types: Ints
    after_types: Ints
    question_type: int
    context_type: int
    cls: int

    @property
    def specials(self) -> int:
        """Number of special tokens in a window."""
        return len(self.before) + len(self.between) + len(self.after)

    def input_ids(self, question: Ints, context: Ints) -> Ints:
        """Token ids of a window, shape (T,)."""
        return np.concatenate([self.before, question, self.between, context, self.after])

    def token_type_ids(self, question: int, context: int) -> Ints:
        """Token types of a window with that many question and context tokens, shape (T,)."""
        return np.concatenate(
            [
                self.before_types,
                np.full(question, self.question_type, np.int32),
                self.between_types,
                np.full(context, self.context_type, np.int32),
                self.after_types,
            ]
        )


def window_bounds(tokens: int, capacity: int, overlap: int) -> list[tuple[int, int]]:
    """Bounds [start, end) of the windows over a context of `tokens` tokens.

    Each window holds up to `capacity` tokens and begins `capacity - overlap` behind the
    one before it; the last is the first to reach the end. A context without tokens has
    one empty window. This is what fast tokenizers do with `truncation="only_second"`.

    Raises:
        ValueError: where `overlap` is negative or not below `capacity`.
    """
    if not 0 <= overlap < capacity:
        raise ValueError(f"an overlap of {overlap} does not fit in windows of {capacity} tokens")
    starts = range(0, max(tokens - overlap, 1), capacity - overlap)
    return [(start, min(start + capacity, tokens)) for start in starts]


def covering_span(context: Tokens, start: int, end: int) -> tuple[int, int] | None:
    """First and last token (inclusive) that cover the characters [`start`, `end`).

    Robust where several tokens share a character (byte-level BPE) and where characters
    belong to no token (control characters, white space). None where no token touches
    the characters.
    """
    first = int(np.searchsorted(context.end, start, side="right"))
    last = int(np.searchsorted(context.start, end, side="left")) - 1
    return (first, last) if first <= last else None


def trim_offsets(text: str, start: Ints, end: Ints) -> Ints:
    """Token starts moved past white space that a tokenizer counts as part of a token.

    Some tokenizers (SentencePiece kinds) let a token's offsets begin at the space before
    the word; an answer cut at such an offset would begin with a space. A token of white
    space only is left without characters, so that it is no answer.
    """
    if not any(text[i].isspace() for i in start.tolist() if i < len(text)):
        return start
    trimmed = start.copy()
    for row, (low, high) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        piece = text[low:high]
        trimmed[row] = low + len(piece) - len(piece.lstrip())
    return trimmed


def whole_characters(windows: Windows, contexts: Sequence[str]) -> Windows:
    """Move token ends behind combining marks, so that no answer ends inside a character.

    In decomposed text (NFD) a tokenizer may end a token between a letter and its accent.

    Args:
        windows: windows of whole questions.
        contexts: the context of each of these questions.
    """
    char_end = windows.char_end.copy()
    bounds = windows.question_tokens().tolist()
    before, behind_marks = None, None
    for context, (low, high) in zip(contexts, pairwise(bounds), strict=True):
        if context != before:  # neighbours often share a context
            before, behind_marks = context, _behind_marks(context)
        if behind_marks is not None:
            old = char_end[low:high]
            # A token without characters must not get some.
            moved = np.where(old > windows.char_start[low:high], behind_marks[old], old)
            char_end[low:high] = moved
    return replace(windows, char_end=char_end)


def _behind_marks(text: str) -> Longs | None:
    """`next_other` of combining marks; None where there is none."""
    if text.isascii():
        return None
    marks = is_one_of(_combining_marks(), text)
    return next_other(marks) if marks.any() else None


def is_one_of(wanted: NDArray[np.bool_], text: str) -> NDArray[np.bool_]:
    """For each character of `text` what the table `wanted` holds at its code; False behind."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.take(wanted, codes, mode="clip")


def next_other(marked: NDArray[np.bool_]) -> Longs:
    """From each place the next one that is not marked, itself included.

    Shapes: (length of the text,) and, since one may stand at the end, that plus 1.
    """
    places = np.arange(len(marked) + 1)
    places[:-1][marked] = len(marked)
    return np.minimum.accumulate(places[::-1])[::-1]


def _table(wanted: Callable[[str], object], size: int) -> NDArray[np.bool_]:
    """A table of the characters that are wanted, by their codes; its last entry is False."""
    return np.fromiter((bool(wanted(chr(code))) for code in range(size)), np.bool_, size)


@cache
def _combining_marks() -> NDArray[np.bool_]:
    return _table(unicodedata.combining, 0x20000)  # Unicode has none elsewhere


def ranges(first: Longs, count: NDArray[np.integer[Any]]) -> Longs:
    """All of `first[i]`, `first[i] + 1`, ... (`count[i]` values), one after the other."""
    count = count.astype(np.int64)
    begin = np.cumsum(count) - count
    return np.repeat(first - begin, count) + np.arange(int(count.sum()))


def changes(values: NDArray[Any], *, end: bool = False) -> NDArray[np.bool_]:
    """Where a value differs from the one before it; the first does, and the `end` if asked for."""
    changes = np.ones(len(values) + end, np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1 : len(values)])
    return changes
