"""Cut tokenized contexts into overlapping windows, and place answers in them.

A window is one input of the model: special tokens, the question, and as much of the context as
fits. Neighbouring windows of a question share `overlap` context tokens (the `doc_stride` of BERT's
SQuAD code; fast tokenizers call it `stride`). An answer that the end of one window cuts is
therefore whole in the next.

Everything here is a pure function of arrays. `retune.tasks.qa.tokenize.tokenize` reads, calls the
tokenizer and writes. Checked against the overflowing tokens of transformers' fast tokenizers
(tests/qa/test_tokenize.py).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Evaluation windows as flat arrays, unpadded; the windows of a question are adjacent."""

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
class Features(Windows):
    """Windows with everything that a model needs: the columns of a file of features."""

    input_ids: Ints  # (tokens of all windows,)
    token_type_ids: Ints  # (tokens of all windows,)
    start_position: Ints  # (W,) first token of the answer, or CLS
    end_position: Ints  # (W,) last token of the answer, or CLS


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokenized texts, one behind the other; text i has the tokens [bounds[i], bounds[i + 1])."""

    ids: Ints  # (tokens of all texts,)
    start: Ints  # (tokens of all texts,) first character in the text
    end: Ints  # (tokens of all texts,) behind the last character
    bounds: Longs  # (texts + 1,)

    @property
    def counts(self) -> Longs:
        """Number of tokens of each text."""
        return np.diff(self.bounds)


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


class Lengths(NamedTuple):
    """The lengths of windows, in tokens; `overlap` is the overlap of neighbours."""

    window: int
    question: int
    overlap: int
    first_only: bool


def cut_windows(
    questions: Tokens, contexts: Tokens, context: Longs, answers: Longs, template: Template,
    lengths: Lengths, first_row: int,
) -> Features:  # fmt: skip
    """The windows of N questions.

    Args:
        questions: their tokens; `start` and `end` are not used.
        contexts: tokens of their contexts.
        context: the number of each question's context, shape (N,).
        answers: first character of each question's answer and the one behind its last, shape
            (N, 2); -1 if there is none.
        template: the special tokens of a window.
        lengths: see `Lengths`; there is room for more than the overlap.
        first_row: row of the first question in its split.
    """
    size = np.minimum(questions.counts, lengths.question)
    room = lengths.window - template.specials - size
    question, low, high = window_bounds(contexts.counts[context], room, lengths.overlap)
    if lengths.first_only:
        rows = np.flatnonzero(changes(question))
        question, low, high = question[rows], low[rows], high[rows]
    begin = len(template.before) + size[question] + len(template.between)
    end = begin + high - low
    length = end + len(template.after)
    first, last = covering_spans(contexts, context, answers)
    first, last = first[question], last[question]
    found = (first <= last) & (low <= first) & (last < high)
    cls = template.cls + np.where(template.cls < 0, length, 0)
    pool = _Pool(template, questions, contexts)
    token = pool.tokens(question, size, context, low, high)
    return Features(
        example=first_row + question,
        lengths=length.astype(np.int32),
        context_start=begin.astype(np.int32),
        context_end=end.astype(np.int32),
        cls=cls.astype(np.int32),
        char_start=pool.char_start[token],
        char_end=pool.char_end[token],
        input_ids=pool.ids[token],
        token_type_ids=pool.types[token],
        start_position=np.where(found, first - low + begin, cls).astype(np.int32),
        end_position=np.where(found, last - low + begin, cls).astype(np.int32),
    )


class _Pool:
    """All tokens that windows are made of: special tokens, questions, contexts."""

    def __init__(self, template: Template, questions: Tokens, contexts: Tokens) -> None:
        specials = template.before, template.between, template.after
        parts = [*specials, questions.ids, contexts.ids]
        behind = np.cumsum([0, *map(len, parts)])
        self.parts: list[int] = behind.tolist()
        self.counts = [len(part) for part in specials]
        self.question, self.context = questions.bounds + behind[3], contexts.bounds + behind[4]
        self.ids = np.concatenate(parts)
        self.types = np.concatenate(
            [
                template.before_types,
                template.between_types,
                template.after_types,
                np.full(len(questions.ids), template.question_type, np.int32),
                np.full(len(contexts.ids), template.context_type, np.int32),
            ]
        )
        no_chars = np.zeros(behind[4], np.int32)
        self.char_start = np.concatenate([no_chars, contexts.start])
        self.char_end = np.concatenate([no_chars, contexts.end])

    def tokens(
        self, question: Longs, size: Longs, context: Longs, low: Longs, high: Longs
    ) -> Longs:
        """Places of the tokens of all windows, one after the other."""
        first, count = np.empty((2, len(question), 5), np.int64)
        first[:, [0, 2, 4]], count[:, [0, 2, 4]] = self.parts[:3], self.counts
        first[:, 1], count[:, 1] = self.question[question], size[question]
        first[:, 3], count[:, 3] = self.context[context[question]] + low, high - low
        return ranges(first.ravel(), count.ravel())


def window_bounds(tokens: Longs, capacity: Longs, overlap: int) -> tuple[Longs, Longs, Longs]:
    """Windows over N contexts: which one, and the bounds [start, end) in it, shape (W,) each.

    Each window holds up to `capacity` (N,) of the `tokens` (N,) and begins `capacity -
    overlap` behind the one before it; the last is the first to reach the end. A context
    without tokens has one empty window. This is what fast tokenizers do with
    `truncation="only_second"`.

    Raises:
        ValueError: where `overlap` is negative or not below `capacity`.
    """
    if not 0 <= overlap < capacity.min():
        raise ValueError(
            f"an overlap of {overlap} does not fit in windows of {capacity.min()} tokens"
        )
    step = capacity - overlap
    count = -(-np.maximum(tokens - overlap, 1) // step)
    context = np.repeat(np.arange(len(tokens)), count)
    start = ranges(np.zeros_like(count), count) * step[context]
    return context, start, np.minimum(start + capacity[context], tokens[context])


def covering_spans(texts: Tokens, text: Longs, chars: Longs) -> tuple[Longs, Longs]:
    """First and last token (inclusive) that cover characters of a text, shape (N,) each.

    Robust where several tokens share a character (byte-level BPE) and where characters
    belong to no token (control characters, white space). The last comes before the first
    where no token touches the characters.

    Args:
        texts: the tokens of all texts.
        text: N rows of texts.
        chars: in each of them the first character and the one behind the last, shape (N, 2).
    """
    # All texts at once: each takes a range of 2 ** 32 on a line, its characters in there.
    of_token = np.repeat(np.arange(len(texts.bounds) - 1) << 32, texts.counts)
    start, end = (text << 32) + chars[:, 0], (text << 32) + chars[:, 1]
    first = np.searchsorted(of_token + texts.end, start, side="right")
    last = np.searchsorted(of_token + texts.start, end, side="left") - 1
    begin = texts.bounds[text]
    return first - begin, last - begin


def ranges(first: Longs, count: NDArray[np.integer[Any]]) -> Longs:
    """All of `first[i]`, `first[i] + 1`, ... (`count[i]` values), one after the other."""
    count = count.astype(np.int64)
    begin = np.cumsum(count) - count
    return np.repeat(first - begin, count) + np.arange(int(count.sum()))


def changes(values: NDArray[Any], *, end: bool = False) -> NDArray[np.bool_]:
    """The places where a value differs from the one before; with `end`, also the length."""
    changes = np.ones(len(values) + end, np.bool_)
    np.not_equal(values[1:], values[:-1], out=changes[1 : len(values)])
    return changes
