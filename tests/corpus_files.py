"""Reading the bundled tables, and what their tests have in common."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

NEGATION = re.compile(
    r"\b(not|no|never|nothing|nobody|none|nor|neither|without|hardly|barely|scarcely|rarely|seldom"
    r"|cannot|nowhere|far from|\w+n't)\b",
    re.IGNORECASE,
)
CONTRAST = re.compile(r"\b(but|although|though|despite|while|yet|however)\b", re.IGNORECASE)

#: Of the corpora of questions.
SPLITS = ("train", "validation", "test")


def text(name: str) -> str:
    """The text of a file such as `opinions/train.tsv`, as its bytes are: no line end changed."""
    return (files("retune.corpora") / name).read_bytes().decode("utf-8")


@cache
def articles(corpus: str, split: str) -> list[dict[str, Any]]:
    """The articles of a split in SQuAD's layout."""
    data: list[dict[str, Any]] = json.loads(text(f"{corpus}/{split}.json"))["data"]
    return data


def paragraphs(corpus: str, split: str) -> list[dict[str, Any]]:
    return [paragraph for article in articles(corpus, split) for paragraph in article["paragraphs"]]


def questions(corpus: str, split: str) -> list[dict[str, Any]]:
    return [qa for paragraph in paragraphs(corpus, split) for qa in paragraph["qas"]]


def repeated(values: Iterable[Any]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]


def not_unique(corpus: str) -> list[Any]:
    """Ids, questions, contexts and titles that stand twice in a corpus."""

    def every(function: Any, key: str) -> list[Any]:
        return [item[key] for split in SPLITS for item in function(corpus, split)]

    columns = [
        (questions, "id"), (questions, "question"), (paragraphs, "context"), (articles, "title"),
    ]  # fmt: skip
    return [value for column in columns for value in repeated(every(*column))]


def table(name: str, header: list[str]) -> list[list[str]]:
    """The rows of a bundled table, which has this header and as many cells in each row."""
    content = text(name)
    assert content.endswith("\n")
    assert not content.endswith("\n\n")
    assert "\r" not in content
    rows = [line.split("\t") for line in content.removesuffix("\n").split("\n")]
    assert rows[0] == header
    for row in rows[1:]:
        assert len(row) == len(header), row
        assert row == [" ".join(cell.split()) for cell in row], row
    return rows[1:]


def bare(sentence: str) -> str:
    """A sentence in lower case and without punctuation."""
    return " ".join(re.findall(r"\w+", sentence.lower().replace("'", "")))


def share(sentences: list[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.search(sentence)) for sentence in sentences) / len(sentences)


def is_public_domain(folder: str) -> bool:
    licence = text(f"{folder}/LICENSE")
    return "CC0 1.0 Universal" in licence and "written for this project" in licence
