import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.tasks.language_model.score.rouge import (
    Rouge,
    distinct_n,
    ngram_hits,
    ngrams,
    repeated,
    rouge_n,
)
from retune.tasks.language_model.score.rouge_words import rouge_score_words as words
from retune.tasks.language_model.score.rouge_words import unicode_words

GOLDENS = json.loads(
    (Path(__file__).parents[1] / "reference/rouge_goldens.json").read_text(encoding="utf-8")
)
texts = st.lists(st.sampled_from("abc"), max_size=8)
orders = st.integers(1, 4)


@pytest.mark.parametrize("golden", GOLDENS)
def test_rouge_is_that_of_rouge_score(golden: dict) -> None:
    found = rouge_n(words(golden["reference"]), words(golden["prediction"]), golden["n"])
    assert list(found) == pytest.approx(golden["figures"])


@given(st.text("aAbBé7 .-", max_size=12), st.text("aAbBé7 .-", max_size=12), orders)
def test_rouge_is_that_of_torchmetrics(reference: str, prediction: str, n: int) -> None:
    from torchmetrics.functional.text import rouge_score

    theirs = rouge_score(prediction, reference, rouge_keys=f"rouge{n}")
    names = ("precision", "recall", "fmeasure")
    expected = [float(theirs[f"rouge{n}_{name}"]) for name in names]
    assert list(rouge_n(words(reference), words(prediction), n)) == pytest.approx(expected)


@given(texts, texts, orders)
def test_figures_are_fractions_and_swap_with_the_texts(one: list, other: list, n: int) -> None:
    there, back = rouge_n(one, other, n), rouge_n(other, one, n)
    assert there == Rouge(back.recall, back.precision, pytest.approx(back.f1))
    assert all(0 <= figure <= 1 for figure in there)
    assert rouge_n(one, one, n) == (Rouge(1, 1, 1) if len(one) >= n else Rouge(0, 0, 0))


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_texts_are_those_of_rouge_score(text: str) -> None:
    assert unicode_words(text) == words(text)
    marked = unicode_words(f"{text} é")  # not read as ASCII
    assert marked == [*words(text), "é"]


@pytest.mark.parametrize(
    ("reference", "prediction", "longest", "hits"),
    [
        ("aab", "a", 1, 2 / 3),  # both a, though the prediction has but one
        ("aab", "ab", 2, 4 / 5),  # a, a, b and ab of these and aa
        ("abc", "abc", 3, 1.0),
        ("abc", "cba", 3, 3 / 6),
        ("", "a", 3, 0.0),
    ],
)
def test_hits_are_not_clipped(reference: str, prediction: str, longest: int, hits: float) -> None:
    assert ngram_hits(reference, prediction, longest) == pytest.approx(hits)


@given(texts, texts)
def test_without_repetition_hits_are_recall(reference: list, prediction: list) -> None:
    once = list(dict.fromkeys(reference))
    assert ngram_hits(once, prediction, 1) == rouge_n(once, prediction, 1).recall


@pytest.mark.parametrize(
    ("several", "n", "distinct", "share"),
    [
        (["aaaa"], 1, 1 / 4, 3 / 4),
        (["abab", "ab"], 2, 2 / 4, 1 / 4),
        (["abc", "abc"], 2, 2 / 4, 0.0),
        (["a"], 2, 0.0, 0.0),
        ([], 1, 0.0, 0.0),
    ],
)
def test_distinct_and_repeated_ngrams(
    several: list[str], n: int, distinct: float, share: float
) -> None:
    assert distinct_n(several, n) == pytest.approx(distinct)
    counts = [repeated(text, n) for text in several]
    times, total = (sum(column) for column in zip((0, 0), *counts, strict=True))
    assert (times / total if total else 0.0) == pytest.approx(share)


@given(texts, orders)
def test_of_one_text_every_ngram_is_new_or_repeated(text: list, n: int) -> None:
    times, total = repeated(text, n)
    assert total == max(0, len(text) - n + 1)
    assert distinct_n([text], n) * total + times == pytest.approx(total)


def test_ngrams_of_no_token_are_refused() -> None:
    with pytest.raises(RetuneError, match="n: 0 tokens make no n-gram; give 1 or more"):
        ngrams("abc", 0)
