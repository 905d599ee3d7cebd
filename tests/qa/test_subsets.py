"""Parts of a train split by whole articles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.tasks.qa.download.subsets import train_part
from retune.tasks.qa.questions.examples import Example


def articles(counts: dict[str, int]) -> list[Example]:
    return [
        Example(f"{title}{n}", title, f"{title} {n // 2}", "Who?", ())
        for title, count in counts.items()
        for n in range(count)
    ]


TWENTY = articles({letter: 10 for letter in "abcdefghijklmnopqrst"})


@given(
    counts=st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 9),
                           min_size=1, max_size=12),
    shares=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
    number=st.integers(0, 9),
)  # fmt: skip
def test_parts_of_one_draw_are_nested_and_have_whole_articles(
    counts: dict[str, int], shares: tuple[float, float], number: int
) -> None:
    examples = articles(counts)
    small, large = (train_part(examples, share, number) for share in sorted(shares))
    assert small
    assert {e.id for e in small} <= {e.id for e in large}
    for part in (small, large):
        titles = {e.title for e in part}
        assert part == [e for e in examples if e.title in titles]


@pytest.mark.parametrize(("share", "questions"), [(0.01, 10), (0.1, 20), (0.37, 70), (0.99, 200)])
def test_a_part_is_as_near_to_its_share_as_articles_allow(share: float, questions: int) -> None:
    assert len(train_part(TWENTY, share, 1)) == questions


def test_another_draw_has_other_articles_and_another_order_does_not() -> None:
    parts = {tuple(e.id for e in train_part(TWENTY, 0.2, number)) for number in range(9)}
    assert len(parts) > 5
    turned = train_part(TWENTY[::-1], 0.2, 3)
    assert {e.id for e in turned} == {e.id for e in train_part(TWENTY, 0.2, 3)}


def test_titles_that_share_a_context_stay_together() -> None:
    linked = [Example(i, t, c, "Who?", ()) for i, t, c in
              (("x", "a", "one"), ("y", "b", "one"), ("z", "c", "two"))]  # fmt: skip
    for number in range(8):
        titles = {e.title for e in train_part(linked, 0.4, number)}
        assert titles in ({"a", "b"}, {"c"})
