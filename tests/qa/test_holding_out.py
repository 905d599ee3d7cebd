"""A validation split is taken out of train by whole articles."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.fetch.fetching import local_source
from retune.tasks.qa.download.download import DownloadParams, download
from retune.tasks.qa.download.holding_out import hold_out
from retune.tasks.qa.questions.examples import Example, read_examples


def example(name: str, title: str, context: str) -> Example:
    return Example(name, title, context, "Who?", ())


def articles(counts: dict[str, int]) -> list[Example]:
    return [
        example(f"{title}{n}", title, f"{title} {n // 2}")
        for title, count in counts.items()
        for n in range(count)
    ]


TEN = articles({letter: 10 for letter in "abcdefghij"})


def test_whole_articles_are_taken_until_the_share_is_reached() -> None:
    held = hold_out(TEN, 0.25, seed=1)
    assert len(held.articles) == 3
    assert {e.title for e in held.validation} == set(held.articles)
    assert not {e.title for e in held.train} & set(held.articles)
    assert sorted(held.train + held.validation, key=lambda e: e.id) == TEN
    for part in held[:2]:  # in file order
        assert [e.id for e in part] == sorted(e.id for e in part)


def test_the_seed_draws_and_the_order_of_the_articles_does_not() -> None:
    drawn = {tuple(hold_out(TEN, 0.1, seed=seed).articles) for seed in range(20)}
    assert len(drawn) > 3
    turned = hold_out(TEN[::-1], 0.25, seed=1)
    assert set(turned.articles) == set(hold_out(TEN, 0.25, seed=1).articles)


def test_one_article_always_stays() -> None:
    held = hold_out(articles({"a": 9, "b": 1}), 0.99, seed=0)
    assert {e.title for e in held.train} in ({"a"}, {"b"})


def test_titles_that_share_a_context_go_together() -> None:
    linked = [example("x", "a", "shared"), example("y", "b", "shared"), example("z", "b", "own")]
    for seed in range(8):
        held = hold_out([*linked, example("w", "c", "other")], 0.5, seed=seed)
        assert {e.title for e in held.validation} in ({"a", "b"}, {"c"})
        assert set(held.articles) == {e.title for e in held.validation}


def test_questions_without_a_title_go_by_their_context() -> None:
    rows = [example(f"{c}{n}", "", f"{c} " * 80) for c in "abcd" for n in range(3)]
    held = hold_out(rows, 0.25, seed=1)
    assert len({e.context for e in held.validation}) == 1
    assert len(held.validation) == 3
    assert held.articles == [held.validation[0].context[:60]]


@pytest.mark.parametrize("rows", [TEN[:10], []])
def test_fewer_than_two_articles_are_an_error_with_the_remedies(rows: list[Example]) -> None:
    message = r"train: [01] article.*name a validation file, or set qa.train.keep: last and .*null"
    with pytest.raises(RetuneError, match=message):
        hold_out(rows, 0.1, seed=1)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), min_size=1),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
)
def test_no_title_and_no_context_is_on_both_sides(
    pairs: list[tuple[str, str]], share: float, seed: int
) -> None:
    rows = [example(str(n), *pair) for n, pair in enumerate(pairs)]
    try:
        held = hold_out(rows, share, seed)
    except RetuneError:
        return
    assert held.train
    assert held.validation
    for key in ("title", "context"):
        sides = ({getattr(e, key) for e in part} for part in held[:2])
        assert not set.intersection(*sides)


def run(folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """Download 3 articles of 4 questions for train, and one for test; return the report."""
    splits = {"train": "abc", "test": "t"}
    sources = {}
    for split, titles in splits.items():
        rows = [
            {"id": f"{t}{n}", "title": t, "context": f"{t} text", "question": f"{t}{n}?",
             "answers": {"text": [t], "answer_start": [0]}}
            for t in titles for n in range(4)
        ]  # fmt: skip
        path = folder / f"{split}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        sources[split] = [local_source(path, None)]
    params: dict[str, Any] = {
        "train_limit": None, "validation_limit": None, "test_limit": None, "sample_seed": 1,
        "validation_share": 0.3, "realign": False, "unanswerable": "error",
        "shared_contexts": "error",
    }  # fmt: skip
    download(folder / "raw", folder / "test", folder / "m.json", sources=sources,
             params=DownloadParams(**params | changes), squad_v2=False)  # fmt: skip
    report: list[dict[str, Any]] = json.loads((folder / "m.json").read_bytes())["qa"]["download"]
    return report


def test_the_report_names_the_articles_and_limits_come_after(tmp_path: Path) -> None:
    train, validation, test = run(tmp_path, train_limit=5, validation_limit=3)
    assert (train["questions_read"], train["questions"], train["articles"]) == (12, 5, 2)
    assert (validation["questions_read"], validation["questions"]) == (4, 3)
    (taken,) = validation["out_of_train"]
    found = {e.title for e in read_examples(tmp_path / "raw/validation.jsonl")}
    assert found == {taken}
    assert "out_of_train" not in train
    assert (validation["files"], test["questions"]) == ([], 4)


def test_without_a_share_there_is_no_validation_split(tmp_path: Path) -> None:
    train, test = run(tmp_path, validation_share=None)
    assert (train["split"], train["questions"], test["split"]) == ("train", 12, "test")
    assert not (tmp_path / "raw/validation.jsonl").exists()
