"""The bundled stories are what a small language model may be trained and tested on."""

import json
import re
from functools import cache
from importlib.resources import files
from itertools import pairwise

import pytest
from corpus_files import repeated

FOLDER = files("retune.corpora") / "stories"
SPLITS = ("train", "validation")
# At an abbreviation, or before a small letter ("Who?" asked he), no sentence ends.
SENTENCE_END = re.compile(r'(?<!\bMr)(?<!\bMrs)(?<!\bDr)[.!?]"?(?=\s+["A-Z]|$)')


@cache
def lines(split: str) -> list[str]:
    text = (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


@cache
def stories(split: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in lines(split)]


def everywhere() -> list[dict[str, str]]:
    return [story for split in SPLITS for story in stories(split)]


def sentences(text: str) -> list[str]:
    ends = [match.end() for match in SENTENCE_END.finditer(text)]
    return [text[start:end].strip() for start, end in pairwise([0, *ends])]


def runs_of_words(text: str, length: int) -> set[str]:
    found = re.findall(r"[a-z0-9']+", text.lower())
    return {" ".join(found[at : at + length]) for at in range(len(found) - length + 1)}


@pytest.mark.parametrize(("split", "least"), [("train", 104), ("validation", 20)])
def test_it_is_as_large_as_promised(split: str, least: int) -> None:
    assert len(stories(split)) >= least


@pytest.mark.parametrize("split", SPLITS)
def test_each_line_is_one_story_with_a_title(split: str) -> None:
    for line, story in zip(lines(split), stories(split), strict=True):
        assert list(story) == ["title", "story"], line[:60]
        for text in story.values():
            assert text, line[:60]
            assert text == " ".join(text.split()), line[:60]


def test_stories_are_of_150_to_300_words() -> None:
    for story in everywhere():
        assert 150 <= len(story["story"].split()) <= 300, story["title"]


def test_each_story_has_at_least_nine_sentences_and_ends_with_one() -> None:
    for story in everywhere():
        assert len(sentences(story["story"])) >= 9, story["title"]
        assert re.search(r'[.!?]"?$', story["story"]), story["title"]


def test_sentences_are_counted_as_a_reader_counts_them() -> None:
    text = 'Mr. Bell sat. "Who is it?" asked Mrs. Roe. "Me!" She ran. "Why?"'
    assert sentences(text) == [
        "Mr. Bell sat.",
        '"Who is it?" asked Mrs. Roe.',
        '"Me!"',
        "She ran.",
        '"Why?"',
    ]


def test_punctuation_is_plain_ascii_and_quotes_come_in_pairs() -> None:
    for story in everywhere():
        for text in story.values():
            assert text.isascii(), story["title"]
            assert text.isprintable(), story["title"]
            assert text.count('"') % 2 == 0, story["title"]


def test_most_stories_have_dialogue() -> None:
    spoken = sum('"' in story["story"] for story in everywhere())
    assert spoken > 0.7 * len(everywhere())


def test_titles_first_sentences_and_stories_are_unique() -> None:
    assert repeated([story["title"].lower() for story in everywhere()]) == []
    assert repeated([sentences(story["story"])[0] for story in everywhere()]) == []
    assert repeated([story["story"] for story in everywhere()]) == []


def test_the_splits_are_disjoint() -> None:
    train, validation = (
        {text.lower() for story in stories(split) for text in story.values()} for split in SPLITS
    )
    assert train & validation == set()


def test_no_two_stories_share_ten_words_in_a_row() -> None:
    """Neither a template nor a copied passage: a model could score by remembering it."""
    runs = [run for story in everywhere() for run in runs_of_words(story["story"], 10)]
    assert repeated(runs) == []


def test_the_licence_is_cc0_and_names_both_files() -> None:
    licence = (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "CC0 1.0 Universal" in licence
    assert all(f"{split}.jsonl" in licence for split in SPLITS)


def test_the_folder_holds_the_two_splits_and_the_licence_and_nothing_else() -> None:
    expected = {"LICENSE", *(f"{split}.jsonl" for split in SPLITS)}
    assert {entry.name for entry in FOLDER.iterdir()} == expected
