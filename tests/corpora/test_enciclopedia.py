"""The bundled Portuguese questions are as many, as varied and as exact as promised."""

import json
import re
from collections import Counter
from functools import partial
from importlib.resources import files
from statistics import mean
from typing import Any

import corpus_files
import pytest

FOLDER = files("retune.corpora") / "enciclopedia"
SPLITS = corpus_files.SPLITS

articles = partial(corpus_files.articles, "enciclopedia")
paragraphs = partial(corpus_files.paragraphs, "enciclopedia")
questions = partial(corpus_files.questions, "enciclopedia")


def everywhere(function: Any) -> list[Any]:
    return [item for split in SPLITS for item in function(split)]


def words(text: str) -> int:
    return len(text.split())


def test_it_is_as_large_as_promised() -> None:
    assert len(everywhere(articles)) >= 23
    assert len(everywhere(paragraphs)) >= 50
    assert len(questions("train")) >= 228
    assert len(questions("validation")) >= 72
    assert len(questions("test")) >= 72
    assert all(80 <= words(p["context"]) <= 160 for p in everywhere(paragraphs))
    assert {len(p["qas"]) for p in everywhere(paragraphs)} == {6}


def test_every_answer_is_where_it_claims_to_be_and_nowhere_else() -> None:
    for paragraph in everywhere(paragraphs):
        context = paragraph["context"]
        for qa in paragraph["qas"]:
            assert not qa["is_impossible"]
            for answer in qa["answers"]:
                start, text = answer["answer_start"], answer["text"]
                assert context[start : start + len(text)] == text, qa["id"]
                assert context.count(text) == 1, qa["id"]
                assert text == text.strip()


def test_answers_begin_and_end_with_whole_words() -> None:
    for paragraph in everywhere(paragraphs):
        framed = f" {paragraph['context']} "
        for qa in paragraph["qas"]:
            for answer in qa["answers"]:
                start, text = answer["answer_start"], answer["text"]
                around = framed[start], framed[start + 1 + len(text)]
                assert not any(character.isalnum() for character in around), qa["id"]


def test_ids_questions_contexts_and_titles_are_unique() -> None:
    assert corpus_files.not_unique("enciclopedia") == []


def test_training_has_one_reference_answer() -> None:
    assert {len(qa["answers"]) for qa in questions("train")} == {1}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_other_splits_have_up_to_three_reference_answers(split: str) -> None:
    given = [[answer["text"] for answer in qa["answers"]] for qa in questions(split)]
    assert all(1 <= len(set(texts)) == len(texts) <= 3 for texts in given)
    assert sum(len(texts) > 1 for texts in given) >= len(given) / 2


def test_questions_are_of_many_kinds() -> None:
    pattern = r"por que|quant[oa]s?|quem|quando|onde|como|o que|qua(?:l|is)|que"
    kinds: Counter[str] = Counter()
    for qa in everywhere(questions):
        found = re.search(rf"\b({pattern})\b", qa["question"].lower())
        assert found, qa["question"]
        assert qa["question"].endswith("?")
        kinds[re.sub(r"^quant.*", "quanto", found[0])] += 1
    assert min(kinds[kind] for kind in ("por que", "quanto", "quem", "onde", "como", "o que")) >= 14
    assert kinds["quando"] >= 5
    assert kinds["que"] < 0.45 * sum(kinds.values())


def test_answers_are_of_many_lengths() -> None:
    lengths = [words(qa["answers"][0]["text"]) for qa in everywhere(questions)]
    assert 2 <= mean(lengths) <= 4
    assert min(lengths) == 1
    assert sum(length >= 5 for length in lengths) >= 50


def test_questions_do_not_repeat_the_sentence_of_their_answer() -> None:
    shares = []
    for paragraph in everywhere(paragraphs):
        for qa in paragraph["qas"]:
            place = qa["answers"][0]["answer_start"]
            begin = paragraph["context"].rfind(". ", 0, place) + 1
            sentence = paragraph["context"][begin:].split(". ")[0].lower()
            asked = [word for word in re.findall(r"\w+", qa["question"].lower()) if len(word) > 3]
            shares.append(mean(word in sentence for word in asked) if asked else 0.0)
    assert mean(shares) < 0.3


@pytest.mark.parametrize("split", SPLITS)
def test_the_bytes_are_those_of_the_layout(split: str) -> None:
    text = (FOLDER / f"{split}.json").read_bytes().decode("utf-8")
    data = json.loads(text)
    assert data["version"] == "v2.0"
    assert text == json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def test_it_is_given_to_everyone() -> None:
    assert "CC0 1.0 Universal" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
