from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.qa.windows.windows import Ints, Tokens, covering_spans, ranges, window_bounds


def words(text: str) -> Tokens:
    """White-space tokens of `text`."""
    spans, position = [], 0
    for word in text.split(" "):
        spans.append((position, position + len(word)))
        position += len(word) + 1
    start, end = np.array(spans, np.int32).T
    return tokens_of(start, end)


def tokens_of(start: Ints, end: Ints) -> Tokens:
    return Tokens(np.arange(len(start), dtype=np.int32), start, end, np.array([0, len(start)]))


def covering_span(tokens: Tokens, start: int, end: int) -> tuple[int, int] | None:
    """`covering_spans` of one text, behind another that must not matter."""
    two = Tokens(
        *(np.concatenate([values, values]) for values in (tokens.ids, tokens.start, tokens.end)),
        np.array([0, len(tokens.ids), 2 * len(tokens.ids)]),
    )
    first, last = covering_spans(two, np.array([0, 1]), np.array([[0, 1], [start, end]]))
    return (int(first[1]), int(last[1])) if first[1] <= last[1] else None


def bounds_of(tokens: int, capacity: int, overlap: int) -> list[tuple[int, int]]:
    """`window_bounds` of one context."""
    context, start, end = window_bounds(np.array([tokens]), np.array([capacity]), overlap)
    assert not context.any()
    return list(zip(start.tolist(), end.tolist(), strict=True))


sizes = st.integers(1, 40).flatmap(
    lambda capacity: st.tuples(st.integers(0, 200), st.just(capacity), st.integers(0, capacity - 1))
)


@given(sizes)
def test_windows_cover_every_token_and_overlap_as_asked(size: tuple[int, int, int]) -> None:
    tokens, capacity, overlap = size
    bounds = bounds_of(tokens, capacity, overlap)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == tokens
    for (_, end), (start, _) in pairwise(bounds):
        assert end - start == overlap
    assert all(end - start == capacity for start, end in bounds[:-1])
    assert bounds[-1][1] - bounds[-1][0] <= capacity


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(9, 20)), min_size=1, max_size=5))
def test_windows_of_many_contexts_are_those_of_each(sizes: list[tuple[int, int]]) -> None:
    tokens, capacity = np.array(sizes).T
    context, start, end = window_bounds(tokens, capacity, 8)
    found = list(zip(context.tolist(), start.tolist(), end.tolist(), strict=True))
    each = [(row, *bounds) for row, size in enumerate(sizes) for bounds in bounds_of(*size, 8)]
    assert found == each


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=5))
def test_ranges_stand_one_after_the_other(pairs: list[tuple[int, int]]) -> None:
    first, count = np.array(pairs, np.int64).reshape(-1, 2).T
    expected = [first + i for first, count in pairs for i in range(count)]
    assert ranges(first, count).tolist() == expected


@given(sizes)
def test_no_window_is_needless(size: tuple[int, int, int]) -> None:
    tokens, capacity, overlap = size
    bounds = bounds_of(tokens, capacity, overlap)
    assert all(end < tokens for _, end in bounds[:-1])


def test_a_context_without_tokens_has_one_empty_window() -> None:
    assert bounds_of(0, 10, 3) == [(0, 0)]


@pytest.mark.parametrize("overlap", [-1, 5, 6])
def test_an_overlap_that_does_not_fit_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"overlap of {overlap} does not fit in windows of 5"):
        bounds_of(20, 5, overlap)


def test_covering_span_takes_whole_tokens() -> None:
    tokens = words("in the 1990s rock")
    assert covering_span(tokens, 7, 11) == (2, 2)
    assert covering_span(tokens, 3, 12) == (1, 2)
    assert covering_span(tokens, 0, 17) == (0, 3)


def test_covering_span_of_characters_between_tokens_is_none() -> None:
    tokens = words("in the 1990s rock")
    assert covering_span(tokens, 2, 3) is None
    assert covering_span(tokens, 17, 20) is None


def test_covering_span_takes_all_tokens_that_share_a_character() -> None:
    # Byte-level BPE: one emoji of two characters in four tokens.
    start = np.array([0, 2, 2, 2, 2, 5], np.int32)
    end = np.array([1, 3, 3, 3, 3, 6], np.int32)
    assert covering_span(tokens_of(start, end), 2, 3) == (1, 4)


@given(st.text("ab ", min_size=1, max_size=30), st.data())
def test_covering_span_is_the_tokens_that_touch_the_characters(
    text: str, data: st.DataObject
) -> None:
    tokens = words(text)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    touching = [
        row
        for row, (low, high) in enumerate(zip(tokens.start, tokens.end, strict=True))
        if low < high and low < end and start < high
    ]
    span = covering_span(tokens, start, end)
    solid = [row for row in range(len(tokens.ids)) if tokens.start[row] < tokens.end[row]]
    inside = [row for row in solid if span is not None and span[0] <= row <= span[1]]
    assert inside == touching
