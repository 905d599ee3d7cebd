"""Wrong labels are possible spans of the passage, and never the label itself."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.qa.labels.corruption import KINDS, Kind, corrupted, neighbours, words_of

TEXT = "Ada (born 1815) met Bo, in Vik's old town."


def texts(spans: list[tuple[int, int]], text: str = TEXT) -> list[str]:
    return [text[slice(*span)] for span in spans]


def test_words_have_no_punctuation_around_them() -> None:
    found = ["Ada", "born", "1815", "met", "Bo", "in", "Vik's", "old", "town"]
    assert texts(words_of(TEXT)) == found


def test_a_script_without_spaces_has_a_word_for_each_character() -> None:
    assert texts(words_of("东京 is 3,5 km"), "东京 is 3,5 km") == ["东", "京", "is", "3,5", "km"]


def test_neighbours_have_as_many_words_and_begin_up_to_three_words_away() -> None:
    words, span = words_of(TEXT), (TEXT.index("met"), TEXT.index(","))
    assert texts(neighbours(words, span)) == [
        *("Ada (born", "born 1815", "1815) met", "Bo, in", "in Vik's", "Vik's old"),
    ]


def test_a_span_between_words_has_no_neighbours() -> None:
    at = TEXT.index("(")
    assert neighbours(words_of(TEXT), (at, at + 1)) == []


def test_a_swapped_label_is_that_of_another_question_and_does_not_touch_its_own() -> None:
    words, own = words_of(TEXT), (5, 14)
    others = [(10, 14), (20, 22), own]
    made = {corrupted("swapped", words, own, others, Random(seed)) for seed in range(20)}
    assert made == {(20, 22)}
    assert corrupted("swapped", words, own, [own], Random(0)) is None


@given(st.text("ab (.,", max_size=30), st.data(), st.sampled_from(KINDS), st.integers(0, 9))
def test_a_wrong_label_is_another_span_of_the_passage(
    text: str, data: st.DataObject, kind: Kind, seed: int
) -> None:
    words = words_of(text)
    if not words:
        return
    spans = st.sampled_from(words)
    own, others = data.draw(spans), data.draw(st.lists(spans, max_size=3))
    made = corrupted(kind, words, own, others, Random(seed))
    if made is not None:
        assert made != own
        assert 0 <= made[0] < made[1] <= len(text)
    assert made == corrupted(kind, words, own, others, Random(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_of_one_word_has_no_wrong_label(kind: Kind) -> None:
    assert corrupted(kind, words_of("Ada"), (0, 3), [], Random(0)) is None
