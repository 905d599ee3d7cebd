"""Correct the characters that a tokenizer assigns to its tokens.

With the corrected offsets an answer neither begins with white space nor ends inside a character of
several code points.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from retune.tasks.qa.windows.windows import Ints, Longs, Tokens, Windows


def trim_offsets(text: str, start: Ints, end: Ints) -> Ints:
    """Move token starts past white space that a tokenizer counts as part of a token.

    Some tokenizers (SentencePiece kinds) let a token's offsets begin at the space before
    the word; an answer cut at such an offset would begin with a space. A token of only white
    space gets no characters, so that it cannot be an answer.
    """
    space = is_one_of(_white_space(), text)
    trimmed: Ints = np.minimum(next_other(space)[start], end, dtype=np.int32, casting="unsafe")
    return trimmed


def unread_characters(texts: Sequence[str], tokens: Tokens) -> Longs:
    """Count the characters of each text, except white space, that are in no token, (texts,)."""
    begin = np.cumsum([0, *map(len, texts)])[:-1]
    shift = np.repeat(begin, tokens.counts)
    start, end = tokens.start + shift, tokens.end + shift
    seen = np.maximum.accumulate(np.concatenate([[0], end]))[:-1]  # tokens may share characters
    read = np.concatenate([[0], np.cumsum(np.maximum(end - np.maximum(start, seen), 0))])
    solid = np.array([len("".join(text.split())) for text in texts], np.int64)
    return np.maximum(solid - np.diff(read[tokens.bounds]), 0)


def whole_characters(windows: Windows, contexts: Sequence[str]) -> Windows:
    """Move token ends behind combining marks, so that no answer ends inside a character.

    In decomposed text (NFD), and where vowels are marks (Devanagari, Thai), a tokenizer may
    end a token between a letter and its mark.

    Args:
        windows: windows of whole questions.
        contexts: the context of each of these questions.
    """
    char_end = windows.char_end.copy()
    bounds = windows.question_tokens().tolist()
    before, marks = "", np.zeros(0, np.bool_)
    for row, context in enumerate(contexts):
        if context.isascii():
            continue
        if context != before:  # neighbours often share a context
            before, marks = context, is_one_of(_combining_marks(), context)
        if marks.any():
            tokens = slice(bounds[row], bounds[row + 1])
            old = char_end[tokens]
            # A token without characters must not get some.
            solid = old > windows.char_start[tokens]
            char_end[tokens] = np.where(solid, next_other(marks)[old], old)
    return replace(windows, char_end=char_end)


def is_one_of(wanted: NDArray[np.bool_], text: str) -> NDArray[np.bool_]:
    """Look up each character of `text` in the table `wanted`; False for codes behind it."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.take(wanted, codes, mode="clip")


def next_other(marked: NDArray[np.bool_]) -> Longs:
    """From each place the next one that is not marked, itself included.

    Shapes: (length of the text,) and, since one may stand at the end, that plus 1.
    """
    places = np.arange(len(marked) + 1)
    places[:-1][marked] = len(marked)
    return np.minimum.accumulate(places[::-1])[::-1]


def is_mark(character: str) -> bool:
    """Whether it is part of the character before it: an accent, a vowel sign, a selector."""
    return unicodedata.category(character).startswith("M")


def _table(wanted: Callable[[str], object], size: int) -> NDArray[np.bool_]:
    """A table of the wanted characters, by their codes; its last entry is False."""
    return np.fromiter((bool(wanted(chr(code))) for code in range(size)), np.bool_, size)


@cache
def _white_space() -> NDArray[np.bool_]:
    return _table(str.isspace, 0x4000)  # Unicode has none elsewhere


@cache
def _combining_marks() -> NDArray[np.bool_]:
    marks = np.zeros(0xE01F1, np.bool_)
    marks[:0x20000] = _table(is_mark, 0x20000)
    marks[0xE0100:0xE01F0] = True  # variation selectors; Unicode has no mark elsewhere
    return marks
