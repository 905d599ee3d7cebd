from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.qa.windows import Tokens, covering_span, trim_offsets, window_bounds


def words(text: str) -> Tokens:
    """White-space tokens of `text`."""
    spans, position = [], 0
    for word in text.split(" "):
        spans.append((position, position + len(word)))
        position += len(word) + 1
    start, end = np.array(spans, np.int32).T
    return Tokens(np.arange(len(spans), dtype=np.int32), start, end)


sizes = st.integers(1, 40).flatmap(
    lambda capacity: st.tuples(st.integers(0, 200), st.just(capacity), st.integers(0, capacity - 1))
)


@given(sizes)
def test_windows_cover_every_token_and_overlap_as_asked(size: tuple[int, int, int]) -> None:
    tokens, capacity, overlap = size
    bounds = window_bounds(tokens, capacity, overlap)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == tokens
    for (_, end), (start, _) in pairwise(bounds):
        assert end - start == overlap
    assert all(end - start == capacity for start, end in bounds[:-1])
    assert bounds[-1][1] - bounds[-1][0] <= capacity


@given(sizes)
def test_no_window_is_needless(size: tuple[int, int, int]) -> None:
    tokens, capacity, overlap = size
    bounds = window_bounds(tokens, capacity, overlap)
    assert all(end < tokens for _, end in bounds[:-1])


def test_a_context_without_tokens_has_one_empty_window() -> None:
    assert window_bounds(0, 10, 3) == [(0, 0)]


@pytest.mark.parametrize("overlap", [-1, 5, 6])
def test_an_overlap_that_does_not_fit_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"overlap of {overlap} does not fit in windows of 5"):
        window_bounds(20, 5, overlap)


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
    assert covering_span(Tokens(np.zeros(6, np.int32), start, end), 2, 3) == (1, 4)


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


def test_offsets_are_moved_past_leading_white_space_only() -> None:
    text = "a  bc  "
    start, end = np.array([0, 1, 5], np.int32), np.array([1, 5, 7], np.int32)
    assert trim_offsets(text, start, end).tolist() == [0, 3, 7]
    assert start.tolist() == [0, 1, 5]
