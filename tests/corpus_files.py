"""Reading the bundled tables, and what their tests have in common."""

import re
from importlib.resources import files

NEGATION = re.compile(
    r"\b(not|no|never|nothing|nobody|none|nor|neither|without|hardly|barely|scarcely|rarely|seldom"
    r"|cannot|nowhere|far from|\w+n't)\b",
    re.IGNORECASE,
)
CONTRAST = re.compile(r"\b(but|although|though|despite|while|yet|however)\b", re.IGNORECASE)


def text(name: str) -> str:
    """The text of a file such as `opinions/train.tsv`, as its bytes are: no line end changed."""
    return (files("retune.corpora") / name).read_bytes().decode("utf-8")


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
