"""The bundled corpus is what the README says it is."""

import re
from collections import Counter
from functools import partial
from itertools import pairwise
from statistics import mean
from typing import Any

import corpus_files
import numpy as np
import pytest

from retune.tasks.qa.windows.windows import window_bounds

SPLITS = corpus_files.SPLITS

articles = partial(corpus_files.articles, "encyclopaedia")
paragraphs = partial(corpus_files.paragraphs, "encyclopaedia")


def questions(split: str, *, impossible: bool | None = None) -> list[dict[str, Any]]:
    every = corpus_files.questions("encyclopaedia", split)
    return [qa for qa in every if impossible is None or qa["is_impossible"] == impossible]


def everywhere(function: Any, **options: Any) -> list[Any]:
    return [item for split in SPLITS for item in function(split, **options)]


def words(text: str) -> int:
    return len(text.split())


def long_ones() -> list[dict[str, Any]]:
    return [p for p in everywhere(paragraphs) if words(p["context"]) > 200]


def test_it_is_as_large_as_promised() -> None:
    short = [p for p in everywhere(paragraphs) if words(p["context"]) <= 200]
    assert len(short) >= 170
    assert all(words(p["context"]) >= 80 for p in short)
    assert len(long_ones()) >= 12
    assert all(350 <= words(p["context"]) <= 600 for p in long_ones())
    assert len(everywhere(articles)) >= 34
    assert len(everywhere(questions, impossible=False)) >= 1000
    assert len(everywhere(questions, impossible=True)) >= 150
    assert all(len(questions(split, impossible=False)) >= 250 for split in SPLITS)


def test_every_answer_is_where_it_claims_to_be_and_nowhere_else() -> None:
    checked = 0
    for paragraph in everywhere(paragraphs):
        context = paragraph["context"]
        for qa in paragraph["qas"]:
            for answer in qa["answers"] + qa.get("plausible_answers", []):
                start, text = answer["answer_start"], answer["text"]
                assert context[start : start + len(text)] == text, qa["id"]
                assert text == text.strip()
                checked += 1
            for answer in qa["answers"]:
                assert context.count(answer["text"]) == 1, qa["id"]
    assert checked > 2000


def test_ids_questions_and_contexts_are_unique() -> None:
    assert corpus_files.not_unique("encyclopaedia") == []


def test_no_article_stands_in_two_splits() -> None:
    titles = [title for split in SPLITS for title in {a["title"] for a in articles(split)}]
    assert len(titles) == len(set(titles))


def test_each_paragraph_has_five_to_eight_answerable_questions() -> None:
    for paragraph in everywhere(paragraphs):
        count = sum(not qa["is_impossible"] for qa in paragraph["qas"])
        assert 5 <= count <= 8, paragraph["context"][:60]


def test_training_has_one_reference_answer_and_the_other_splits_three() -> None:
    for split, count in zip(SPLITS, (1, 3, 3), strict=True):
        assert {len(qa["answers"]) for qa in questions(split, impossible=False)} == {count}


def test_unanswerable_questions_have_a_plausible_answer_and_no_real_one() -> None:
    for qa in everywhere(questions, impossible=True):
        assert qa["answers"] == []
        assert len(qa["plausible_answers"]) == 1


def test_questions_are_of_many_kinds() -> None:
    kinds: Counter[str] = Counter()
    for qa in everywhere(questions, impossible=False):
        text = qa["question"].lower()
        found = re.search(r"how (many|much|long|far|old)|who|when|where|why|how|which|what", text)
        kinds[found[0].split()[0] + " many" * bool(found[1]) if found else "other"] += 1
        assert qa["question"].endswith("?")
    assert {"who", "when", "where", "why", "how", "how many", "which", "what"} <= set(kinds)
    assert all(count >= 30 for count in kinds.values() if count != kinds["other"])
    assert kinds["what"] < 0.45 * sum(kinds.values())


def test_answers_are_of_many_lengths() -> None:
    lengths = [words(qa["answers"][0]["text"]) for qa in everywhere(questions, impossible=False)]
    assert 2 <= mean(lengths) <= 4
    assert min(lengths) == 1
    assert sum(length >= 5 for length in lengths) >= 100


def test_questions_do_not_repeat_the_sentence_of_their_answer() -> None:
    shares = []
    for paragraph in everywhere(paragraphs):
        for qa in paragraph["qas"]:
            if qa["is_impossible"]:
                continue
            place = qa["answers"][0]["answer_start"]
            begin = paragraph["context"].rfind(". ", 0, place) + 1
            sentence = paragraph["context"][begin:].split(". ")[0].lower()
            asked = [word for word in re.findall(r"\w+", qa["question"].lower()) if len(word) > 3]
            shares.append(mean(word in sentence for word in asked) if asked else 0.0)
    assert mean(shares) < 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_titles_are_split_by_article_and_sizes_are_balanced(split: str) -> None:
    share = len(questions(split)) / len(everywhere(questions))
    assert 0.15 < share < 0.85


def test_long_passages_have_answers_at_the_seams_of_windows() -> None:
    """With the project's windows: 384 tokens that overlap by 128, and 1.3 tokens a word."""
    tokens_per_word, capacity, overlap = 1.3, 384 - 3 - 20, 128
    for paragraph in long_ones():
        length = round(words(paragraph["context"]) * tokens_per_word)
        _, starts, ends = window_bounds(np.array([length]), np.array([capacity]), overlap)
        bounds = list(zip(starts.tolist(), ends.tolist(), strict=True))
        assert len(bounds) >= 2
        overlaps = [(after[0], before[1]) for before, after in pairwise(bounds)]
        places = [
            words(paragraph["context"][: qa["answers"][0]["answer_start"]]) * tokens_per_word
            for qa in paragraph["qas"]
            if not qa["is_impossible"]
        ]
        near = [
            place
            for place in places
            if any(low - 40 <= place <= low + 40 or high - 40 <= place <= high + 40
                   for low, high in overlaps)
        ]  # fmt: skip
        assert len(near) >= 2, paragraph["context"][:60]
