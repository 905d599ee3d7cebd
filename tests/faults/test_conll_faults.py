"""Sentences with entities that cannot be read, or not as one would think: rows C01 to C10.

The stage's own function reads the files, so that nothing is trained or written where one is bad.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from adapter_runs import metrics, run_entities, write_data
from transformers import PreTrainedTokenizerFast

from retune.core.errors import RetuneError

GOOD = "Ada B-PER\nBerg I-PER\nsaw O\nSula B-LOC\n\nIt O\nrained O\n"
LATIN = "é O\n".encode("latin-1")


def case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def trained(
    data: Path, folder: Path, content: str | bytes, validation: str = GOOD, **changes: Any
) -> dict[str, Any]:
    """The metrics of a training of one epoch on files with these contents."""
    (folder / "conll").mkdir()
    content = content if isinstance(content, bytes) else content.encode("utf-8")
    (folder / "conll/x.conll").write_bytes(content)
    (folder / "conll/dev.conll").write_text(validation, encoding="utf-8")
    own = {"folder": str(folder / "conll"), "train": "x.conll", "validation": "dev.conll"}
    run_entities(data, folder / "run", epochs=1, **own | changes)
    details: list[dict[str, Any]] = metrics(folder / "run", "entities")["details"]
    return details[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        case("C01 no such file", "none.conll", r"none\.conll: no such file; give a CoNLL file"),
        case("C01 a file elsewhere", "../x", r"adapters\.entities: \.\./x is not in the folder"),
    ],
)
def test_a_file_that_is_not_in_the_folder_is_refused(
    name: str, message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        trained(data, tmp_path, GOOD, train=name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        case("C02 IOB1", "Ada I-PER\n", r"x\.conll:1: the tag 'I-PER' follows 'O'.* 'B-PER'"),
        case("C02 another type is continued", "a B-PER\nb I-LOC\n",
             r"x\.conll:2: the tag 'I-LOC' follows 'B-PER', .* 'B-LOC'"),
        case("C02 continued from another sentence", "a B-PER\n\nb I-PER\n",
             r"x\.conll:3: the tag 'I-PER' follows 'O'"),
        case("C02 IOBES, a single word", "a S-PER\n",
             r"x\.conll:1: the tag 'S-PER' belongs to IOBES \(or BILOU\), not to IOB2; replace"),
        case("C02 IOBES, an end", "a B-PER\nb E-PER\n",
             r"x\.conll:2: the tag 'E-PER' belongs to IOBES .* E- and L- by I-"),
        case("C02 BILOU", "a B-PER\nb L-PER\n", r"x\.conll:2: the tag 'L-PER' belongs to IOBES"),
        case("C03 no column of tags", "Ada B-PER\nsaw\n",
             r"x\.conll:2: no tag after 'saw'; write `token tag`"),
        case("C03 an empty tag", "Ada\tB-PER\nsaw\t\n", r"x\.conll:2: no tag after 'saw'"),
        case("C03 an empty token", "\tO\n",
             r"x\.conll:1: no token before the tag 'O'; remove the line"),
        case("C03 a column more", "a O\nNew York B-LOC\n",
             r"x\.conll:2: 3 columns, while the first line has 2; .* by a tab"),
        case("C03 a column less", "a NN O\nb B-LOC\n", r"x\.conll:2: 2 columns, while .* has 3"),
        case("C04 a type alone", "a PER\n",
             r"x\.conll:1: 'PER' is not an IOB2 tag; allowed: O, B-<type>, I-<type>"),
        case("C04 no type", "a B-\n", r"x\.conll:1: 'B-' is not an IOB2 tag"),
        case("C04 small letters", "a b-PER\n", r"x\.conll:1: 'b-PER' is not an IOB2 tag"),
        case("C04 a small o", "a o\n", r"x\.conll:1: 'o' is not an IOB2 tag"),
        case("C04 a comment", "# text = a\na O\n", r"x\.conll:1: 'a' is not an IOB2 tag"),
        case("C05 Latin-1", b"a O\n" + LATIN, r"x\.conll:2: not UTF-8; save the file as UTF-8"),
        case("C05 UTF-16", "a O\n".encode("utf-16"), r"x\.conll:1: not UTF-8"),
        case("C05 a cut letter", "a O\né".encode()[:-1], r"x\.conll:2: not UTF-8"),
        case("C05 carriage returns alone", "a O\rb O\r",
             r"x\.conll:1: a carriage return within the line"),
        case("C06 an empty file", "", r"x\.conll: no sentence; expected lines of a token and its"),
        case("C06 empty sentences alone", "\n \n-DOCSTART-\n", r"x\.conll: no sentence"),
        case("C08 no entity to learn", "a O\n",
             r"x\.conll: no entity; every tag is O, .* nothing to learn"),
        case("C08 a type less than in validation", "a B-LOC\n",
             r"dev\.conll:1: entities of type 'PER' occur in no train sentence; train has LOC"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_lines_before_any_work(
    content: str | bytes, message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        trained(data, tmp_path, content)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        case("C08 another type in validation", "a O\nb B-ORG\n",
             r"dev\.conll:2: entities of type 'ORG' occur in no train .* train has LOC, PER"),
        case("C08 no entity to measure", "a O\n",
             r"dev\.conll: no entity; every tag is O, .* nothing to measure"),
        case("C06 an empty file", "", r"dev\.conll: no sentence"),
    ],
)  # fmt: skip
def test_a_bad_validation_is_refused_before_any_work(
    content: str, message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        trained(data, tmp_path, GOOD, content)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "spelled",
    [
        case("C06 empty sentences", lambda t: "\n\n" + t.replace("\n\n", "\n\n \t\n\n") + "\n"),
        case("C06 documents", lambda t: "-DOCSTART-\n" + t.replace("\n\n", "\n-DOCSTART- O\n")),
        case("C07 a byte order mark", lambda t: "\ufeff" + t),
        case("C07 CRLF", lambda t: t.replace("\n", "\r\n")),
        case("C07 no end of the last line", lambda t: t.removesuffix("\n")),
        case("C07 columns between", lambda t: t.replace(" ", " NN I-NP ")),
        case("C07 tabs", lambda t: t.replace(" ", "\t")),
    ],
)  # fmt: skip
def test_an_unusual_spelling_is_the_same_sentences(
    spelled: Callable[[str], str], data: Path, tmp_path: Path
) -> None:
    told = trained(data, tmp_path, spelled(GOOD))
    assert (told["train"]["sentences"], told["train"]["words"]) == (2, 6)
    assert told["validation_in_train"] == 2


CONTROL = GOOD.replace("saw", "\u200b")


@pytest.mark.parametrize("word", [case("C09 nothing is kept of a word", CONTROL)])
def test_a_word_without_pieces_is_read_as_unknown_and_told(
    word: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = trained(data, tmp_path, word)
    assert told["train"]["words"] == 6
    assert told["train"]["words_without_pieces"] == 1
    (place,) = told["train"]["places_without_pieces"]
    assert place == f"{tmp_path / 'conll/x.conll'}:3: '\\u200b'"
    assert f"{place}: the tokenizer keeps nothing of it; read as unknown" in capsys.readouterr().out


@pytest.mark.parametrize("word", [case("C09 and no token is for unknown ones", CONTROL)])
def test_a_word_without_pieces_is_refused_where_nothing_stands_for_it(
    word: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: Any) -> PreTrainedTokenizerFast:
        tokenizer: PreTrainedTokenizerFast = tiny.wordpiece()
        tokenizer.unk_token = None
        return tokenizer

    monkeypatch.setattr("retune.tasks.ner.train.entities.load_tokenizer", without)
    with pytest.raises(RetuneError, match=r"x\.conll:3: the tokenizer keeps nothing of the word"):
        trained(data, tmp_path, word)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "cut", "shortened"),
    [
        case("C10 a long sentence", GOOD.replace("saw O\n", "saw O\n" * 40), 1, 0),
        case("C10 a long word", GOOD.replace("rained", "a" * 40), 1, 1),
    ],
)
def test_what_is_too_long_is_cut_between_words_and_counted(
    content: str, cut: int, shortened: int, data: Path, tmp_path: Path
) -> None:
    told = trained(data, tmp_path, content)["train"]
    assert (told["sentences"], told["words"]) == (2, content.count(" "))
    assert (told["cut_sentences"], told["shortened_words"]) == (cut, shortened)
