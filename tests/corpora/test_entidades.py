"""The bundled Portuguese entities are valid IOB2, as many and as varied as promised."""

import re
from collections import Counter
from functools import cache
from importlib.resources import files
from itertools import pairwise
from statistics import mean

import pytest

FOLDER = files("retune.corpora") / "entidades"
SPLITS = ("train", "validation")
TYPES = {"PESSOA", "ORGANIZACAO", "LOCAL", "TEMPO", "LEGISLACAO", "JURISPRUDENCIA"}
Sentence = tuple[tuple[str, str], ...]


def content(split: str) -> str:
    return (FOLDER / f"{split}.conll").read_bytes().decode("utf-8")


@cache
def sentences(split: str) -> list[Sentence]:
    blocks = content(split).removesuffix("\n").split("\n\n")
    return [tuple(pair(line) for line in block.split("\n")) for block in blocks]


def pair(line: str) -> tuple[str, str]:
    token, tag = line.split(" ")
    return token, tag


def everywhere() -> list[Sentence]:
    return [sentence for split in SPLITS for sentence in sentences(split)]


def mentions(sentence: Sentence) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for token, tag in sentence:
        if tag.startswith("B-"):
            found.append((tag[2:], [token]))
        elif tag.startswith("I-"):
            found[-1][1].append(token)
    return found


def test_it_is_as_large_as_promised() -> None:
    assert len(sentences("train")) >= 320
    assert len(sentences("validation")) >= 80


@pytest.mark.parametrize(("split", "least"), [("train", 50), ("validation", 13)])
def test_each_type_is_mentioned_often_enough(split: str, least: int) -> None:
    counts = Counter(kind for sentence in sentences(split) for kind, _ in mentions(sentence))
    assert set(counts) == TYPES
    assert min(counts.values()) >= least


def test_tags_are_valid_iob2() -> None:
    allowed = {"O"} | {f"{place}-{kind}" for place in "BI" for kind in TYPES}
    for sentence in everywhere():
        tags = ["O", *(tag for _, tag in sentence)]
        assert set(tags) <= allowed
        for before, tag in pairwise(tags):
            if tag.startswith("I-"):
                assert before in {f"B-{tag[2:]}", tag}, sentence


def test_no_sentence_stands_twice() -> None:
    texts = Counter(" ".join(token for token, _ in sentence).lower() for sentence in everywhere())
    assert [text for text, count in texts.items() if count > 1] == []


def test_punctuation_is_a_token_of_its_own() -> None:
    for sentence in everywhere():
        assert sentence[-1] == (".", "O")
        for token, _ in sentence:
            assert len(token) == 1 or not re.search(r"^[(]|[,;:!?)]$", token), token


@pytest.mark.parametrize("split", SPLITS)
def test_some_sentences_have_no_entity_and_some_have_several(split: str) -> None:
    counts = [len(mentions(sentence)) for sentence in sentences(split)]
    assert 0.1 <= mean(count == 0 for count in counts) <= 0.2
    assert mean(count >= 3 for count in counts) >= 0.15


@pytest.mark.parametrize("split", SPLITS)
def test_entities_begin_sentences_and_are_of_many_lengths(split: str) -> None:
    assert mean(sentence[0][1] != "O" for sentence in sentences(split)) >= 0.15
    lengths = Counter(len(tokens) for s in sentences(split) for _, tokens in mentions(s))
    assert set(range(1, 8)) <= set(lengths)


def test_the_same_word_has_different_labels() -> None:
    labels: dict[str, set[str]] = {}
    for token, tag in (entry for sentence in sentences("train") for entry in sentence):
        labels.setdefault(token, set()).add(tag.split("-")[-1])
    assert {"PESSOA", "LOCAL", "ORGANIZACAO"} <= labels["Santos"]
    assert {"PESSOA", "LOCAL", "ORGANIZACAO"} <= labels["Bahia"]
    named = [token for token, kinds in labels.items() if token[0].isupper() and len(kinds) > 1]
    assert len(named) >= 50


@pytest.mark.parametrize("split", SPLITS)
def test_the_bytes_are_those_of_the_layout(split: str) -> None:
    lines = ("\n".join(" ".join(entry) for entry in sentence) for sentence in sentences(split))
    assert content(split) == "\n\n".join(lines) + "\n"


def test_it_is_given_to_everyone() -> None:
    assert "CC0 1.0 Universal" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
