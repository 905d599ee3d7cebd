from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retune.core.errors import RetuneError
from retune.tasks.ner.texts.conll import (
    Sentence,
    check_types,
    entity_types,
    read_sentences,
    repetitions,
)

GOOD = "Ada B-PER\nBerg I-PER\nsaw O\nSula B-LOC\n\nRain O\n"
TOKENS = [["Ada", "Berg", "saw", "Sula"], ["Rain"]]
TAGS = [["B-PER", "I-PER", "O", "B-LOC"], ["O"]]


def write(folder: Path, content: str | bytes, name: str = "x.conll") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace(" ", "\t"),
        GOOD.replace(" ", "   ").replace("O\n", "O  \n"),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.removesuffix("\n"),
        "\n\n" + GOOD.replace("\n\n", "\n\n \t\n\n") + "\n\n",
        "-DOCSTART- -X- -X- O\n\n" + GOOD,
        "-DOCSTART-\n" + GOOD.replace("\n\n", "\n-DOCSTART- O\n"),
        GOOD.replace(" ", " NN I-NP "),
        GOOD.replace(" ", "\t\t"),
    ],
)
def test_forms_of_the_same_sentences(content: str, tmp_path: Path) -> None:
    sentences = read_sentences(write(tmp_path, content))
    assert [sentence.tokens for sentence in sentences] == TOKENS
    assert [sentence.tags for sentence in sentences] == TAGS
    lines = content.removeprefix("\ufeff").split("\n")
    for sentence in sentences:
        for number, token in enumerate(sentence.tokens):
            line = int(sentence.place(number).rpartition(":")[2])
            assert lines[line - 1].startswith(token)


def test_a_token_may_hold_a_space_behind_which_is_a_tab_and_signs_that_end_lines_elsewhere(
    tmp_path: Path,
) -> None:
    (sentence,) = read_sentences(write(tmp_path, "New York\tB-LOC\na\u2028b\x85c\tO\n\u00a0\tO"))
    assert sentence.tokens == ["New York", "a\u2028b\x85c", "\u00a0"]


def test_all_problems_are_told_the_first_ones_in_words(tmp_path: Path) -> None:
    with pytest.raises(RetuneError) as caught:
        read_sentences(write(tmp_path, "a S-PER\n" * 25 + "b I-PER\nc\n"))
    lines = str(caught.value).splitlines()
    # The tag behind a bad one is not held against it.
    assert len(lines) == 21
    assert lines[-1] == "and 6 more like these"


def split(tmp_path: Path, train: str, validation: str) -> tuple[list[Sentence], list[Sentence]]:
    files = write(tmp_path, train, "train.conll"), write(tmp_path, validation, "dev.conll")
    return read_sentences(files[0]), read_sentences(files[1])


def test_repetitions_are_counted(tmp_path: Path) -> None:
    both = split(tmp_path, f"{GOOD}\n{GOOD}\nRain O\n", f"{GOOD}\nSun B-LOC\n\nSun B-LOC\n")
    check_types(*both)
    assert entity_types(both[0]) == ["LOC", "PER"]
    assert repetitions(*both) == {
        "train_duplicates": 3, "validation_duplicates": 1, "validation_in_train": 2,
    }  # fmt: skip


words = st.text(st.characters(exclude_characters=" \t\r\n", exclude_categories=["Cs"]), min_size=1)
tokens = words.filter(lambda word: word != "-DOCSTART-" and not word.startswith("\ufeff"))
sentences = st.lists(
    st.lists(st.tuples(tokens, st.sampled_from(["O", "B-PER", "B-LOC-A"])), min_size=1),
    min_size=1,
)


@given(
    written=sentences,
    between=st.sampled_from([" ", "\t", " x "]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(
    written: list[list[tuple[str, str]]],
    between: str,
    end: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    text = (end * 2).join(end.join(between.join(pair) for pair in part) for part in written)
    read = read_sentences(write(tmp_path_factory.getbasetemp(), text))
    assert [list(zip(s.tokens, s.tags, strict=True)) for s in read] == written


@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_words(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    said = ""
    try:
        assert all(sentence.tokens for sentence in read_sentences(path))
    except RetuneError as error:
        said = str(error)
    assert all(str(path) in line or "more of" in line for line in said.split("\n") if said)


@pytest.mark.parametrize(("name", "count"), [("train", 7827), ("dev", 1176), ("test", 1389)])
def test_real_data_is_read_without_a_finding(
    name: str, count: int, shared_data: Callable[[str], Path]
) -> None:
    folder = shared_data("lener-br")
    sentences = read_sentences(folder / f"{name}.conll")
    assert len(sentences) == count
    check_types(read_sentences(folder / "train.conll"), sentences)
    assert len(entity_types(sentences)) == 6
