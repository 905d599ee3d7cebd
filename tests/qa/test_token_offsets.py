import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.qa.windows.token_offsets import trim_offsets


def test_offsets_are_moved_past_leading_white_space_only() -> None:
    text = "a  bc  "
    start, end = np.array([0, 1, 5], np.int32), np.array([1, 5, 7], np.int32)
    assert trim_offsets(text, start, end).tolist() == [0, 3, 7]
    assert start.tolist() == [0, 1, 5]


@given(st.lists(st.sampled_from(["a", "b ", " ", "\u2003c", "\x1f", "é", "😀"]), max_size=12))
def test_trimmed_tokens_are_those_whose_text_is_stripped(pieces: list[str]) -> None:
    text = "".join(pieces)
    end = np.cumsum([len(piece) for piece in pieces], dtype=np.int32)
    start = end - np.array([len(piece) for piece in pieces], np.int32)
    expected = [
        low + len(piece) - len(piece.lstrip())
        for low, piece in zip(start.tolist(), pieces, strict=True)
    ]
    assert trim_offsets(text, start, end).tolist() == expected
