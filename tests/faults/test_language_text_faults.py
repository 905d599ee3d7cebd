"""Texts of a language model that are not as they must be, and what is cut of them: rows M."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
from language_runs import run_tokenize, write_raw
from pyarrow import parquet
from pydantic import ValidationError
from refusals import case, refused

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines, sha256
from retune.fetch.fetching import local_source
from retune.models.pretrained_files import PretrainedParams
from retune.tasks.language_model.datasets import coqa, files
from retune.tasks.language_model.download.download import DownloadParams, download
from retune.tasks.language_model.texts.features import read_blocks, write_blocks
from retune.tasks.language_model.texts.texts import read_texts
from retune.tasks.language_model.tokenize.vocabulary import END_OF_TEXT, SMALLEST


def lines(*texts: Any) -> str:
    return "".join(json.dumps({"story": text}) + "\n" for text in texts)


def table(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


TRAIN = lines("It rained.", "It snowed.")
DOWNLOAD: dict[str, Any] = {
    "train_limit": None, "validation_limit": None, "sample_seed": 1, "duplicates": "error",
    "overlap": "error",
}  # fmt: skip


def run(
    folder: Path, train: str | bytes, name: str = "a.jsonl", rows: int | None = None, **changes: Any
) -> str:
    """The download stage on a file `name` to train on, which should have so many rows."""
    contents = {name: train, "validation.txt": "It hailed."}
    for file, content in contents.items():
        data = content if isinstance(content, bytes) else content.encode("utf-8")
        (folder / file).write_bytes(data)
    ours, theirs = (local_source(folder / file, None) for file in contents)
    sources = {"train": [replace(ours, questions=rows)], "validation": [theirs]}
    return download(
        folder / "raw", folder / "texts.json",
        sources=sources, field="story", params=DownloadParams(**DOWNLOAD | changes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "train", "message"),
    [
        case("M01 blank lines", "a.jsonl", " \n\n", r"a\.jsonl: the file has no records"),
        case("M01 a blank text file", "a.txt", " \n", r"a\.txt: the file has no records"),
        case("M01 a table of no rows", "a.parquet", table(story=pa.array([], pa.string())),
             r"a\.parquet: the file has no rows; add some"),
        case("M02 Latin-1", "a.txt", b"na\xefve", r"a\.txt: not UTF-8 at byte 2; save it as UTF-8"),
        case("M02 UTF-16", "a.txt", "It rained.".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        case("M02 gzip", "a.jsonl", b"\x1f\x8b\x08", "is compressed by gzip; unpack it"),
        case("M02 no table", "a.parquet", "x", r"a\.parquet: not a readable Parquet file \("),
        case("M03 a suffix that is not read", "a.csv", "x",
             r"a\.csv: a file of this suffix is not read; allowed: \.txt, \.jsonl, \.parquet"),
        case("M04 a list", "a.jsonl", TRAIN + '["A."]', r"line 3: \['A\.'\] is not an object; wri"),
        case("M04 a torn line", "a.jsonl", TRAIN + '{"story', "line 3: not a JSON object"),
        case("M05 no such field", "a.jsonl", TRAIN + '{"text": "A."}',
             r"line 3: no 'story'; its keys are \['text'\]"),
        case("M05 no such column", "a.parquet", table(text=["A."]),
             r"a\.parquet: no columns 'story'; its columns are 'text'"),
        case("M06 an empty text", "a.jsonl", lines("A.", " "), "line 2: the text is empty; fill i"),
        case("M06 a number", "a.jsonl", lines(3), r"line 1: the text 3 \(int\) is not a string"),
        case("M06 no value", "a.parquet", table(story=["A.", None]),
             r"row 1: the text None \(NoneType\) is not a string"),
        case("M07 half of a surrogate pair", "a.jsonl", '{"story": "A\\ud800"}',
             r"line 1: half of a surrogate pair, '\\ud800', at offset 1; export the file again"),
    ],
)  # fmt: skip
def test_unsound_files_are_refused_with_their_place(
    name: str, train: str | bytes, message: str, tmp_path: Path
) -> None:
    with refused(message, tmp_path / "raw", tmp_path / "texts.json"):
        run(tmp_path, train, name)


def test_m08_control_characters_are_kept_and_counted(tmp_path: Path) -> None:
    assert run(tmp_path, lines("It \x07rained.")).endswith(", 1 control_characters in train")
    (text,) = read_texts(tmp_path / "raw/train.jsonl")
    assert text.text == "It \x07rained."
    (row,) = read_json_lines(tmp_path / "raw/findings.jsonl")
    assert (row["where"], row["kind"]) == ("line 1", "control_characters")


#: By setting: a row, what is left when it is dropped, what the counts call that, and the message.
TWICE: dict[str, tuple[str, list[str], str, str]] = {
    "duplicates": (" it RAINED. ", ["It rained.", "It snowed."], "duplicate",
                   "' it RAINED. ' is already at a.jsonl: line 1"),
    "overlap": ("It HAILED.", ["It rained.", "It snowed."], "overlap",
                "'It HAILED.' is also in validation, at validation.txt: line 1"),
}  # fmt: skip


@pytest.mark.parametrize("policy", ["error", "drop", "keep"])
@pytest.mark.parametrize(
    "setting",
    [case("M09 a text twice", "duplicates"), case("M10 one of validation in train", "overlap")],
)
def test_texts_that_stand_twice_are_treated_as_the_params_say(
    setting: str, policy: str, tmp_path: Path
) -> None:
    text, left, kind, message = TWICE[setting]
    if policy == "error":
        told = f"{message}; delete one, or set `language_model.download.{setting}: drop`"
        with refused(told, tmp_path / "raw", tmp_path / "texts.json"):
            run(tmp_path, TRAIN + lines(text))
        return
    run(tmp_path, TRAIN + lines(text), **{setting: policy})
    said, kept = ("dropped_", left) if policy == "drop" else ("", [*left, text])
    assert [each.text for each in read_texts(tmp_path / "raw/train.jsonl")] == kept
    (counts, _) = read_json(tmp_path / "texts.json")["language_model"]["texts"]
    assert counts["findings"] == {f"{said}{kind}": 1}
    (row,) = read_json_lines(tmp_path / "raw/findings.jsonl")
    assert row["detail"] == message + ("; left out" if policy == "drop" else "")


@pytest.mark.parametrize(
    ("train", "changes"),
    [
        case("M11 a limit that rounds to nothing", TRAIN, {"train_limit": "1%"}),
        case("M11 all are dropped", lines("It hailed."), {"overlap": "drop"}),
    ],
)
def test_a_split_without_a_text_is_refused(
    train: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    with refused("train: no text is left; see language_model", tmp_path / "raw"):
        run(tmp_path, train, **changes)


OWN: dict[str, Any] = {"train": ["a.txt"], "validation": ["a.txt"], "text": "story"}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        case("M11 no file", [], r"files\.train in the params names no file; add some"),
        case("M12 a file outside the folder", ["../a.txt"], r"\.\./a\.txt is not in the folder .*, "
             "so that DVC would not see it change; move it there"),
        case("M12 a file that is not there", ["b.txt"], r"b\.txt: no such file; paths start from"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_meant_are_refused(
    train: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("It rained.")
    with pytest.raises(RetuneError, match=message):
        files.sources(files.Params(**OWN | {"folder": str(tmp_path), "train": train}))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        case("M03 a suffix in the params", files.Params,
             OWN | {"folder": ".", "train": ["a.pdf"]}, r"a\.pdf is not read; allowed: \.txt"),
        case("M13 a branch of a data set", coqa.Params,
             {"revision": "refs/convert/parquet", "train_sha256": "0" * 64,
              "validation_sha256": "0" * 64}, "revision"),
        case("M13 a branch of a checkpoint", PretrainedParams,
             {"name": "openai-community/gpt2", "revision": "main"},
             "a branch or tag can move; for a hub id give the full commit"),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_certain_are_refused(
    kind: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        kind(**settings)


@pytest.mark.parametrize("rows", [case("M14 rows too few", 9), case("M14 rows too many", 1)])
def test_a_known_data_set_with_another_number_of_rows_is_refused(rows: int, tmp_path: Path) -> None:
    with refused(f"2 texts, but this data set has {rows}; this is not the", tmp_path / "raw"):
        run(tmp_path, TRAIN, rows=rows)


QUESTION = "Who was it that came so late? Me! It was me, and no other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        case("M15 train makes no block", {"block_size": 10_000},
             r"train: language_model\.tokenize\.block_size: \d+ tokens of text make no block of 1"),
        case("M15 validation makes no block", {"block_size": 150},
             r"validation: language_model\.tokenize\.block_size: \d+ tokens of text make no block"),
        case("M16 no room for the bytes", {"vocabulary_size": 256},
             "vocabulary_size: 256 is less than 257, one for each byte and"),
        case("M19 no text has a second sentence", {"pairs": "full_stops"},
             "pairs: none of the 1 validation texts has two sentences by the rule full_stops; ch"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_the_texts_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_raw(tmp_path, validation=[QUESTION])
    with refused(message, tmp_path / "features", tmp_path / "blocks.json"):
        run_tokenize(tmp_path, **changes)


def blocks(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = read_json(folder / "blocks.json")["language_model"]["blocks"]
    return values


def test_m17_a_vocabulary_that_the_texts_do_not_fill_is_told(tmp_path: Path) -> None:
    write_raw(tmp_path, train=["ab ab. ab ab ab ab ab ab"])
    told = run_tokenize(tmp_path, vocabulary_size=9_000, block_size=4)
    (size,) = (entry["size"] for entry in blocks(tmp_path)["vocabulary"])
    assert SMALLEST < size < 300
    assert told.endswith(f"{size} tokens in the vocabulary")


def test_m18_a_text_without_a_second_sentence_is_skipped_and_told(tmp_path: Path) -> None:
    write_raw(tmp_path, validation=[QUESTION, "It rained all day and night", *tiny.TEXTS[:1]])
    assert "2 pairs, 1 texts skipped" in run_tokenize(tmp_path)
    assert blocks(tmp_path)["pairs"][0]["skipped"] == ["validation-2"]


@pytest.mark.parametrize("family", [case("M20 a tokenizer that ends no text", "bert")])
def test_a_tokenizer_without_an_end_of_text_is_refused(family: str, tmp_path: Path) -> None:
    write_raw(tmp_path)
    tiny.write_checkpoint(tmp_path / family, family)
    weights = sha256(tmp_path / family / "model.safetensors")
    pinned = PretrainedParams(str(tmp_path / family), weights)
    with refused("has no eos_token; choose a pretrained decoder, such", tmp_path / "features"):
        run_tokenize(tmp_path, checkpoint=pinned, tokenizer="checkpoint")


def test_m21_the_name_of_the_end_of_text_in_a_text_is_text(tmp_path: Path) -> None:
    write_raw(tmp_path, validation=[f"One sentence. And {END_OF_TEXT} in another."])
    run_tokenize(tmp_path, end_of_text=False)
    (row,) = read_json_lines(tmp_path / "features/validation.jsonl")
    assert 0 not in row["tokens"]
    ids = read_blocks(tmp_path / "features/validation.arrow", 300)
    assert not (ids == 0).any()


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        case("M22 no blocks", None, r"a\.arrow: no such file; run the tokenize stage first"),
        case(
            "M22 torn at the start",
            slice(0, 50),
            r"a\.arrow: damaged \(.*\); run the tokenize stage",
        ),
        case(
            "M22 torn at the end",
            slice(0, -60),
            r"a\.arrow: damaged \(.*\); run the tokenize stage",
        ),
        case("M22 none at all", np.zeros((0, 4), np.int64), "has no rows; run the tokenize stage"),
        case("M22 a token that there is not", np.array([[0, 9]]), "token 9 is none of the 9 of th"),
        case("M22 other columns", pa.table({"label": [1]}), "its columns are label, not blocks of"),
    ],
)
def test_blocks_that_are_not_whole_are_refused(spoiled: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    if isinstance(spoiled, pa.Table):
        with pa.ipc.new_stream(str(path), spoiled.schema) as stream:
            stream.write_table(spoiled)
    elif isinstance(spoiled, slice):
        write_blocks(path, np.zeros((50, 16), np.int64))
        path.write_bytes(path.read_bytes()[spoiled])
    elif spoiled is not None:
        write_blocks(path, spoiled)
    with pytest.raises(RetuneError, match=message):
        read_blocks(path, 9)
