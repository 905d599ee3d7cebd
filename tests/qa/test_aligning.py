import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from retune.qa.aligning import is_aligned, realigned, trimmed
from retune.qa.examples import Answer


def test_a_decomposed_letter_is_not_cut_in_two() -> None:
    assert realigned("abc cafe\u0301 def", Answer("cafe", 0)) == Answer("cafe", 4)
    assert realigned("abc é def", Answer("e", 9)) == Answer("e", 7)
    assert realigned("abc é", Answer("e", 0)) is None


@given(st.text(), st.text(min_size=1), st.integers())
def test_what_realignment_gives_is_always_right(context: str, text: str, start: int) -> None:
    moved = realigned(context, Answer(text, start))
    if moved is not None:
        assert is_aligned(context, moved)
        forms = {unicodedata.normalize("NFD", form) for form in (moved.text, text)}
        assert len(forms) == 1


@given(st.text(), st.text(min_size=1), st.text(), st.integers(-2, 2))
def test_realignment_finds_a_shifted_unique_answer(
    before: str, text: str, after: str, shift: int
) -> None:
    context = before + text + after
    if context.find(text) == context.rfind(text):
        right = Answer(text, len(before))
        assert realigned(context, Answer(text, right.start + shift)) == right


@given(st.text(), st.text(), st.text(alphabet=" \t\n\u00a0\u3000"), st.text(alphabet=" \n"))
def test_trimming_keeps_an_aligned_answer_aligned(
    before: str, core: str, left: str, right: str
) -> None:
    short = trimmed(Answer(left + core + right, len(before)))
    assert short.text == core.strip()
    assert is_aligned(before + left + core + right, short)
