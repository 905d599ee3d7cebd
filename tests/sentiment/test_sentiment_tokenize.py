import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
from sentiment_runs import SENTENCES, write_data, write_features

from retune.core.errors import RetuneError
from retune.tasks.sentiment.texts.examples import Example, write_examples
from retune.tasks.sentiment.texts.features import read_rows, row_writer
from retune.tasks.sentiment.tokenize.tokenize import TokenizeParams, reader


def counts(data: Path) -> list[dict[str, Any]]:
    texts: list[dict[str, Any]] = json.loads((data / "texts.json").read_text())["sentiment"][
        "texts"
    ]
    return texts


def test_rows_are_what_the_tokenizer_makes_of_the_texts(tmp_path: Path) -> None:
    features = write_features(write_data(tmp_path))
    tokenizer = tiny.wordpiece()
    rows = read_rows(features / "validation.arrow")
    expected = [(tokenizer(text)["input_ids"], label) for text, label in SENTENCES[4:]]
    assert [(row.input_ids.tolist(), row.label) for row in rows] == expected
    assert rows.lengths.tolist() == [len(ids) for ids, _ in expected]
    train = read_rows(features / "train.arrow")
    assert len(train) == len(SENTENCES) + 1  # the augmented one comes last
    assert (
        train[len(SENTENCES)].input_ids.tolist() == tokenizer("the ships return home")["input_ids"]
    )


def test_what_is_cut_is_counted_and_named(tmp_path: Path) -> None:
    features = write_features(write_data(tmp_path), max_length=6)
    tokenizer = tiny.wordpiece()
    ids = [tokenizer(text)["input_ids"] for text, _ in SENTENCES[4:]]
    rows = read_rows(features / "validation.arrow")
    for row, whole in zip(rows, ids, strict=True):
        assert row.input_ids.tolist() == (whole if len(whole) <= 6 else [*whole[:5], whole[-1]])
    _, told = counts(tmp_path)
    cut = [f"validation-{n}" for n, whole in enumerate(ids) if len(whole) > 6]
    assert 0 < len(cut) < len(ids)
    assert (told["cut"], told["cut_ids"], told["longest"]) == (len(cut), cut, 6)
    assert (told["texts"], told["negative"], told["positive"]) == (8, 4, 4)
    assert told["tokens"] == rows.lengths.sum()


def test_special_tokens_in_a_text_are_text() -> None:
    tokenizer = tiny.wordpiece()
    read = reader(tokenizer, TokenizeParams(32))
    ((ids, _),) = read(["a [SEP] b"])
    assert ids.count(tokenizer.sep_token_id) == 1


def test_the_saved_tokenizer_does_not_cut(tmp_path: Path) -> None:
    features = write_features(write_data(tmp_path), max_length=4)
    saved = json.loads((features / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"] is None


def with_text(folder: Path, split: str, text: str) -> None:
    place = folder / ("augmented" if split == "train" else "raw") / f"{split}.jsonl"
    write_examples(place, [Example("odd", text, 1, None, None)])


def test_a_text_of_which_nothing_is_left_is_told_or_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    with_text(data, "validation", "\u0007")
    write_features(data)
    assert counts(data)[1]["ids_without_tokens"] == ["odd"]
    with_text(data, "train", "\u0007")
    with pytest.raises(RetuneError, match=r"train\.jsonl: .* keeps nothing of the text of odd"):
        write_features(data)


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    write_examples(data / "raw" / "validation.jsonl", [])
    with pytest.raises(RetuneError, match=r"validation\.jsonl: no texts"):
        write_features(data)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (2, r"tokenize\.max_length: 2 tokens are no more than the 2 special ones; raise it"),
        (513, r"tokenize\.max_length: 513 is more than the 512 tokens .*; lower it"),
    ],
)
def test_lengths_that_cannot_be_are_refused(length: int, message: str, tmp_path: Path) -> None:
    data = write_data(tmp_path)
    with pytest.raises(RetuneError, match=message):
        write_features(data, max_length=length)


def test_batches_of_texts_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_data(tmp_path)
    whole = read_rows(write_features(data) / "train.arrow")
    monkeypatch.setattr("retune.tasks.sentiment.tokenize.tokenize._BATCH", 5)
    parts = read_rows(write_features(data) / "train.arrow")
    assert np.array_equal(whole.input_ids, parts.input_ids)
    assert np.array_equal(whole.bounds, parts.bounds)


def test_features_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.arrow"
    with pytest.raises(RetuneError, match="no such file; run the tokenize stage"):
        read_rows(path)
    path.write_bytes(b"\x00\x01")
    with pytest.raises(RetuneError, match=r"train\.arrow: damaged"):
        read_rows(path)
    with row_writer(path) as writer:
        writer.write([[1, 2, 3]] * 100, [0] * 100)
    whole = path.read_bytes()
    for end in (1, 8, 100, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:end])
        with pytest.raises(RetuneError, match=r"train\.arrow: damaged"):
            read_rows(path)
    schema = pa.schema({"x": pa.int8()})
    with pa.ipc.new_stream(str(path), schema):
        pass
    with pytest.raises(RetuneError, match="its columns are x, not input_ids, label"):
        read_rows(path)
    with row_writer(path):
        pass
    with pytest.raises(RetuneError, match="has no rows"):
        read_rows(path)
    with row_writer(path) as writer:
        writer.write([[1, 2], [3]], [1, 2])
    with pytest.raises(RetuneError, match="row 1: the label 2 is none of 0 to 1"):
        read_rows(path)
