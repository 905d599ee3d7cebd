"""Search for the best answer spans, for all windows of a chunk at once.

Shapes: W windows, N questions, C context tokens of the longest window, K best starts (and
ends) of a window. A span's score is the sum of its start and end logit, as in BERT
(Devlin et al. 2019). Nothing depends on the order in which a sort leaves equal values,
which differs between processors: ties go to the lowest position.

Checked against the question-answering pipeline of transformers (tests/qa/test_spans.py).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from retune.core.numerics import exp
from retune.tasks.qa.windows.windows import Ints, Longs, Windows, changes, ranges

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

#: Windows of a chunk: few enough that the arrays of a chunk stay in the processor's cache.
CHUNK = 256
#: Most pairs of a start and an end that are held at a time.
_PAIRS = 2**21


@dataclass(frozen=True, slots=True)
class Candidates:
    """The n-best spans of N questions: by question, then from the best on.

    Spans with the same score are ordered by their start, then by their length.
    """

    questions: Longs  # (N,) rows of the questions
    offsets: Longs  # (N + 1,) the spans of question i are [offsets[i], offsets[i + 1])
    null_score: Doubles  # (N,) lowest CLS start + CLS end of the question's windows
    start: Ints  # (spans,) first character in the context
    end: Ints  # (spans,) behind the last character
    start_logit: Floats  # (spans,)
    end_logit: Floats  # (spans,)

    @property
    def score(self) -> Doubles:
        """Start logit + end logit, shape (spans,)."""
        return self.start_logit.astype(np.float64) + self.end_logit


class _Context(NamedTuple):
    """Context tokens of each window, C >= 1 columns of logits, padded behind each row.

    Padding has the logit -inf and characters of its own, so it never wins or repeats a token.
    """

    start_logit: Floats  # (W, C)
    end_logit: Floats  # (W, C)
    first: Longs  # (W, 1) the token of column 0
    char_start: Ints  # (tokens of all windows,): few of them are ever needed
    char_end: Ints


class _Spans(NamedTuple):
    """Spans of characters and the windows that they were found in; duplicates remain."""

    window: Longs
    start: Ints
    end: Ints
    start_logit: Floats
    end_logit: Floats


_Pairs = Callable[[_Context, int, int], _Spans]


def chunks(windows: Windows, logits: Floats, size: int = CHUNK) -> Iterator[tuple[Windows, Floats]]:
    """Cut windows and logits (tokens, 2) into chunks of about `size` windows, whole questions.

    All arrays may be memory-mapped: only a chunk at a time is read.
    """
    token = windows.window_tokens()
    edges = np.flatnonzero(changes(windows.example, end=True))
    wanted = np.searchsorted(edges, np.arange(0, len(windows) + size, size))
    cuts = np.unique(edges[wanted.clip(max=len(edges) - 1)])
    for low, high in pairwise(cuts):
        rows, tokens = slice(low, high), slice(token[low], token[high])
        part = Windows(
            windows.example[rows],
            windows.lengths[rows],
            windows.context_start[rows],
            windows.context_end[rows],
            windows.cls[rows],
            windows.char_start[tokens],
            windows.char_end[tokens],
        )
        yield part, logits[tokens]


def find_spans(windows: Windows, logits: Floats, n_best: int, max_answer_length: int) -> Candidates:
    """The best spans of each question over all its windows.

    In each window the `n_best` best starts are combined with the `n_best` best ends of its
    context tokens; a pair counts if it has 1 to `max_answer_length` tokens and at least one
    character. Pairs with the same characters, in one window or in several, are one span with
    the best of their scores. If a question has no such pair, all spans of its windows are
    searched. It has no span only if its context has no token.

    Args:
        windows: at least one window, of whole questions (see `chunks`).
        logits: start and end logits, shape (tokens, 2); must be finite.
        n_best: K, for the starts and ends of a window and for the spans of a question.
        max_answer_length: in tokens.
    """
    context, null = _read(windows, logits)
    new = np.flatnonzero(changes(windows.example))
    number = np.arange(len(new), dtype=np.min_scalar_type(len(new)))  # small ints sort fast
    question = np.repeat(number, np.diff(new, append=len(windows)))
    rows = np.arange(len(windows))
    spans = _joined(_search(_best_pairs, context, rows, n_best, max_answer_length))
    without = np.bincount(question[spans.window], minlength=len(new)) == 0
    if without.any():
        rows = np.flatnonzero(without[question])
        spans = _joined([spans, *_search(_all_pairs, context, rows, n_best, max_answer_length)])
    row, spans = _merged(question[spans.window], spans, n_best)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(new)))])
    return Candidates(windows.example[new], offsets, np.minimum.reduceat(null, new), *spans[1:])


def probabilities(candidates: Candidates, *, with_null: bool) -> tuple[Doubles, Doubles]:
    """Softmax over the spans of each question, (spans,), and its null answer if wanted, (N,)."""
    counts = np.diff(candidates.offsets)
    question = np.repeat(np.arange(len(counts)), counts)
    null = candidates.null_score if with_null else np.full(len(counts), -np.inf)
    highest = np.where(with_null, null, np.finfo(np.float64).min)
    np.maximum.at(highest, question, candidates.score)
    weight, null_weight = exp(candidates.score - highest[question]), exp(null - highest)
    total = null_weight + np.bincount(question, weight, minlength=len(counts))
    return weight / total[question], null_weight / np.where(counts == 0, 1.0, total)


def _read(windows: Windows, logits: Floats) -> tuple[_Context, Doubles]:
    """Context tokens as rectangles, and the null score of each window, shape (W,)."""
    window = windows.window_tokens()[:-1]
    first = window + windows.context_start
    count = windows.context_end - windows.context_start
    width = max(int(count.max()), 1)
    columns = np.full((2, len(logits) + width), -np.inf, np.float32)
    columns[:, : len(logits)] = logits.T
    start_logit, end_logit = sliding_window_view(columns, width, axis=1)[:, first]
    filling = np.arange(width) >= count[:, None]
    for values in (start_logit, end_logit):
        np.copyto(values, np.float32(-np.inf), where=filling)
    chars = windows.char_start, windows.char_end
    null: Doubles = logits[window + windows.cls].sum(axis=1, dtype=np.float64)
    return _Context(start_logit, end_logit, first[:, None], *chars), null


def _search(
    search: _Pairs, context: _Context, rows: Longs, n_best: int, longest: int
) -> Iterator[_Spans]:
    """Spans that `search` finds in the windows `rows`, a bounded number of pairs at a time."""
    width = context.start_logit.shape[1]
    step = max(1, _PAIRS // (width * min(width, max(n_best, longest))))
    for low in range(0, len(rows), step):
        part = rows[low : low + step]
        chosen = context._replace(
            start_logit=context.start_logit[part],
            end_logit=context.end_logit[part],
            first=context.first[part],
        )
        spans = search(chosen, n_best, longest)
        yield spans._replace(window=part[spans.window])


def _joined(parts: Iterable[_Spans]) -> _Spans:
    return _Spans._make(map(np.concatenate, zip(*parts, strict=True)))


def _best_pairs(context: _Context, n_best: int, longest: int) -> _Spans:
    """Pairs of the best starts and the best ends of each window."""
    starts = _best_columns(context.start_logit, n_best)
    ends = _best_columns(context.end_logit, n_best)
    start_logit = np.take_along_axis(context.start_logit, starts, axis=1)
    end_logit = np.take_along_axis(context.end_logit, ends, axis=1)
    char_start = _chars(context, context.char_start, starts, start_logit)
    char_end = _chars(context, context.char_end, ends, end_logit)
    score = _sum(start_logit[:, :, None], end_logit[:, None, :])  # (W, K, K)
    distance = ends.astype(np.int32)[:, None, :] - starts.astype(np.int32)[:, :, None]
    longest = min(longest, context.start_logit.shape[1])
    invalid = distance.view(np.uint32) >= longest  # negative ones are huge there
    invalid |= char_end[:, None, :] <= char_start[:, :, None]
    np.copyto(score, -np.inf, where=invalid)
    window, i, j = _best_entries(score, n_best * _copies(char_start) * _copies(char_end))
    return _Spans(
        window, char_start[window, i], char_end[window, j], start_logit[window, i],
        end_logit[window, j],
    )  # fmt: skip


def _all_pairs(context: _Context, n_best: int, longest: int) -> _Spans:
    """All spans of each window that are short enough."""
    columns = np.arange(context.start_logit.shape[1])
    char_start = _chars(context, context.char_start, columns, context.start_logit)
    char_end = _chars(context, context.char_end, columns, context.end_logit)
    width = min(longest, len(columns))
    behind = ((0, 0), (0, width - 1))
    end_logit = np.pad(context.end_logit, behind, constant_values=-np.inf)
    end_logit = sliding_window_view(end_logit, width, axis=1)  # (W, C, width)
    char_end = np.pad(char_end, behind, constant_values=np.iinfo(np.int32).min)
    last_char = sliding_window_view(char_end, width, axis=1)
    score = _sum(context.start_logit[:, :, None], end_logit)
    score[last_char <= char_start[:, :, None]] = -np.inf
    limit = n_best * _copies(char_start) * _copies(char_end)
    window, i, j = _best_entries(score, limit)
    return _Spans(
        window, char_start[window, i], char_end[window, i + j], context.start_logit[window, i],
        context.end_logit[window, i + j],
    )  # fmt: skip


def _sum(start_logit: Floats, end_logit: Floats) -> Floats:
    """Half of each score, in float32.

    Single precision is half the size of exact sums, and no half sum overflows. Halves are exact.
    Rounding never reverses the order of two sums; it only makes ties. All sums that equal the last
    wanted one are kept, so the best exact scores are among them.
    """
    half = np.float32(0.5)
    total: Floats = half * start_logit + half * end_logit
    return total


def _chars(context: _Context, chars: Ints, columns: Longs, logit: Floats) -> Ints:
    """Characters `chars` of the tokens in some columns, whose logits mark padding."""
    token = np.minimum(context.first + columns, len(chars) - 1)
    return np.where(logit > -np.inf, chars[token], (-1 - columns).astype(np.int32))


def _best_columns(logit: Floats, n_best: int) -> Longs:
    """Columns of the `n_best` highest logits of each row, in ascending order, shape (W, K)."""
    rows, width = logit.shape
    k = min(n_best, width)
    threshold = np.partition(logit, width - k, axis=1)[:, width - k, None]
    chosen = np.flatnonzero(logit >= threshold)
    if len(chosen) > rows * k:  # of those equal to the last, the first
        above, equal = logit > threshold, logit == threshold
        wanted = k - above.sum(axis=1, keepdims=True)
        chosen = np.flatnonzero(above | (equal & (np.cumsum(equal, axis=1) <= wanted)))
    columns: Longs = chosen.reshape(rows, k) % width
    return columns


def _best_entries(score: Floats, limit: Longs) -> tuple[Longs, ...]:
    """Where the `limit` (W,) highest finite scores (W, A, B) are, and all equal to the last."""
    flat = score.reshape(len(score), -1)
    last = np.maximum(flat.shape[1] - limit, 0)
    ranked = np.sort(flat, axis=1)  # a partition is slow where most are equal, here -inf
    threshold = ranked[np.arange(len(flat)), last].clip(np.finfo(np.float32).min)
    return np.unravel_index(np.flatnonzero(flat >= threshold[:, None]), score.shape)


def _copies(chars: Ints) -> Longs:
    """How often the most frequent value of each row occurs, shape (W,).

    A span of characters has at most (copies of starts) x (copies of ends) pairs of tokens: so
    many times more pairs have to be kept until duplicates are merged.
    """
    ordered = np.sort(chars, axis=1)
    copies = np.ones(len(chars), np.int64)
    for count in range(2, chars.shape[1] + 1):
        again = (ordered[:, count - 1 :] == ordered[:, : 1 - count]).any(axis=1)
        if not again.any():
            break
        copies[again] = count
    return copies


def _merged(question: NDArray[Any], spans: _Spans, n_best: int) -> tuple[NDArray[Any], _Spans]:
    """The `n_best` best different spans of each question, sorted, with their questions."""
    falling = -(spans.start_logit.astype(np.float64) + spans.end_logit)
    chars = (spans.start.astype(np.int64) << 32) + spans.end  # in the order of start, then end
    again = np.zeros(len(question), np.bool_)
    again[1:] = (question[1:] == question[:-1]) & (chars[1:] <= chars[:-1])
    mixed = (np.bincount(question, again) > 0)[question]  # of several windows, for example
    order = np.flatnonzero(mixed)
    order = order[np.lexsort((falling[order], chars[order], question[order]))]
    order = order[changes(question[order]) | changes(chars[order])]
    order = np.concatenate([np.flatnonzero(~mixed), order])
    order = order[np.lexsort((falling[order], question[order]))]  # stable: still by chars
    question = question[order]
    counts = np.bincount(question)
    best = ranges(np.zeros_like(counts), counts) < n_best
    return question[best], _Spans._make(column[order[best]] for column in spans)
