from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.qa.download.aligning import PHRASE, is_aligned, realigned, trimmed
from retune.tasks.qa.download.spellings import spans
from retune.tasks.qa.download.word_bounds import is_whole, whole_words
from retune.tasks.qa.questions.examples import Answer


def is_possible(context: str, answer: Answer) -> bool:
    place = context, answer.start, answer.end
    return is_whole(*place) or whole_words(*place) >= PHRASE


def respelt(context: str, text: str) -> list[Answer]:
    """Blanks at a spelling's edges are no part of it."""
    found = spans(context, text)
    return [trimmed(Answer(context[start:end], start)) for start, end in found]


def test_a_decomposed_letter_is_not_cut_in_two() -> None:
    assert realigned("abc cafe\u0301 cafe", Answer("cafe", 0)) == Answer("cafe", 10)
    assert realigned("abc é e def", Answer("e", 11)) == Answer("e", 6)
    assert realigned("abc é", Answer("e", 0)) is None
    assert realigned("abc cafe\u0301", Answer("cafe", 4)) == Answer("cafe", 4)
    assert realigned("abc cafe\u0301", Answer("cafe", 3)) is None


def test_another_spelling_elsewhere_is_doubtful_beside_the_word_as_spelt() -> None:
    assert realigned("A:0a", Answer("a", 4)) is None
    assert realigned("Art at a party", Answer("art", 9)) is None
    assert realigned("Art at a party", Answer("art", 5)) == Answer("Art", 0)


def test_a_blank_answer_is_never_an_empty_one() -> None:
    assert realigned("\r", Answer("\r", 1)) == Answer("\r", 0)
    assert realigned("\r", Answer("\n", 0)) is None


@given(st.text(), st.text(min_size=1), st.integers())
def test_what_realignment_gives_is_always_right(context: str, text: str, start: int) -> None:
    moved = realigned(context, Answer(text, start))
    if moved is not None:
        assert is_aligned(context, moved)
        assert moved.text == text or Answer(moved.text, 1) in respelt(f" {moved.text} ", text)
        assert moved.start == start or is_possible(context, moved)


@given(st.text(), st.text(min_size=1), st.text(), st.integers(-2, 2))
def test_realignment_finds_a_shifted_unique_answer(
    before: str, text: str, after: str, shift: int
) -> None:
    context = before + text + after
    right = Answer(text, len(before))
    if context.count(text) == 1 == len(list(spans(context, text))) and is_possible(context, right):
        moved = realigned(context, Answer(text, right.start + shift))
        assert moved in (right, *respelt(context, text))


@given(st.text(), st.text(), st.text(alphabet=" \t\n\u00a0\u3000"), st.text(alphabet=" \n"))
def test_trimming_keeps_an_aligned_answer_aligned(
    before: str, core: str, left: str, right: str
) -> None:
    short = trimmed(Answer(left + core + right, len(before)))
    assert short.text == core.strip()
    assert is_aligned(before + left + core + right, short)
