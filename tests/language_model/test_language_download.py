"""The download stage: what is checked, what is dropped, and that both are told."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from pydantic import ValidationError

from retune.core.errors import RetuneError
from retune.core.files import read_json, read_json_lines
from retune.fetch.fetching import local_source
from retune.tasks.language_model.download.download import DownloadParams, download
from retune.tasks.language_model.texts.texts import Text, read_texts

ROOT = Path(__file__).resolve().parents[2]
PARAMS: dict[str, Any] = {
    "train_limit": None, "validation_limit": None, "sample_seed": 13, "duplicates": "error",
    "overlap": "error",
}  # fmt: skip


def lines(*texts: Any) -> str:
    return "".join(json.dumps({"title": "T", "story": text}) + "\n" for text in texts)


TRAIN = lines("It rained.", "It snowed.", "The sun came out.")


def run(
    folder: Path,
    train: str | bytes = TRAIN,
    validation: str = "It hailed.",
    name: str = "train.jsonl",
    **changes: Any,
) -> str:
    """Download a file `name` to train on and validation.txt."""
    sources = {}
    for split, file, content in (
        ("train", name, train),
        ("validation", "validation.txt", validation),
    ):
        path = folder / file
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        sources[split] = [local_source(path, None)]
    params = DownloadParams(**PARAMS | changes)
    raw, metrics = folder / "data" / "raw", folder / "texts.json"
    return download(raw, metrics, sources=sources, field="story", params=params)


def texts(folder: Path, split: str = "train") -> list[str]:
    return [text.text for text in read_texts(folder / "data/raw" / f"{split}.jsonl")]


def counts(folder: Path) -> list[dict[str, Any]]:
    report: list[dict[str, Any]] = read_json(folder / "texts.json")["language_model"]["texts"]
    return report


def test_both_splits_are_written_with_their_counts(tmp_path: Path) -> None:
    assert run(tmp_path) == "train 3 texts, validation 1 texts"
    first, *_ = read_texts(tmp_path / "data/raw/train.jsonl")
    assert first == Text("train-1", "It rained.")
    assert texts(tmp_path, "validation") == ["It hailed."]
    assert list(read_json_lines(tmp_path / "data/raw/train.jsonl"))[1] == {
        "id": "train-2", "text": "It snowed.",
    }  # fmt: skip
    assert list(read_json_lines(tmp_path / "data/raw/findings.jsonl")) == []
    source = local_source(tmp_path / "train.jsonl", None)
    assert counts(tmp_path)[0] == {
        "split": "train", "files": [{"name": "train.jsonl", "sha256": source.sha256}],
        "limit": None, "texts_read": 3, "texts": 3, "characters": 37, "words": 8, "findings": {},
    }  # fmt: skip


def test_a_text_file_is_one_text_as_it_is(tmp_path: Path) -> None:
    content = " One.\u2028 Two.\n\nThree.\n"
    run(tmp_path, b"\xef\xbb\xbf" + content.encode(), name="a.txt")
    assert texts(tmp_path) == [content]


def table(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_a_table_gives_its_column(tmp_path: Path) -> None:
    content = table(title=["a", "b"], story=["It rained.", "It snowed."])
    run(tmp_path, content, name="a.parquet")
    assert texts(tmp_path) == ["It rained.", "It snowed."]


@pytest.mark.parametrize(
    ("name", "train", "message"),
    [
        ("a.jsonl", lines("A.", " "), r"a\.jsonl: line 2: the text is empty; fill it, or delete"),
        ("a.jsonl", lines(3), r"a\.jsonl: line 1: the text 3 \(int\) is not a string"),
        ("a.jsonl", lines("A.") + '{"text": "B."}', r"line 2: no 'story'; its keys are \["),
        ("a.jsonl", lines("A.") + "{}", r"line 2: no 'story'; its keys are \[\]"),
        ("a.jsonl", '["A."]', r"line 1: \['A\.'\] is not an object; write one on each line"),
        ("a.jsonl", lines("A.") + '{"story', r"line 2: not a JSON object \(.*\); a file holds one"),
        ("a.jsonl", '{"story": "\\ud800"}', r"half of a surrogate pair, '\\ud800', at offset 0; e"),
        ("a.jsonl", " \n", r"a\.jsonl: the file has no records"),
        ("a.txt", " \n", r"a\.txt: the file has no records"),
        ("a.txt", b"na\xefve", r"a\.txt: not UTF-8 at byte 2; save it as UTF-8"),
        ("a.csv", "x", r"a\.csv: a file of this suffix is not read; allowed: \.txt, \.jsonl, \.p"),
        ("a.parquet", "x", r"a\.parquet: not a readable Parquet file \("),
        ("a.parquet", table(text=["A."]), r"no columns 'story'; its columns are 'text'"),
        ("a.parquet", table(story=pa.array([], pa.string())), r"a\.parquet: the file has no rows"),
        ("a.parquet", table(story=["A.", None]), r"row 1: the text None \(NoneType\) is not a st"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_with_its_place(
    name: str, train: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message):
        run(tmp_path, train, name=name)
    assert not (tmp_path / "data/raw").exists()


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RetuneError) as caught:
        run(tmp_path, lines("", 3, "It hailed."))
    assert str(caught.value).splitlines() == [
        "3 errors in the data (1 empty_field, 1 overlap, 1 wrong_type); nothing was written",
        "  train.jsonl: line 1: the text is empty; fill it, or delete it",
        "  train.jsonl: line 2: the text 3 (int) is not a string",
        "  train.jsonl: line 3: 'It hailed.' is also in validation, at validation.txt: line 1; "
        "delete one, or set `language_model.download.overlap: drop`",
    ]


#: By kind: a train split with it, what is left when it is dropped, and the message.
REPEATED = {
    "duplicate": (
        lines("It rained.", "It snowed.", " it RAINED. "), ["It rained.", "It snowed."],
        "' it RAINED. ' is already at train.jsonl: line 1",
    ),
    "overlap": (
        lines("It rained.", "It HAILED."), ["It rained."],
        "'It HAILED.' is also in validation, at validation.txt: line 1",
    ),
}  # fmt: skip


def setting(kind: str) -> str:
    return kind if kind == "overlap" else f"{kind}s"


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_text_twice_is_an_error_that_names_the_setting(kind: str, tmp_path: Path) -> None:
    train, _, message = REPEATED[kind]
    with pytest.raises(RetuneError) as caught:
        run(tmp_path, train)
    assert str(caught.value).endswith(
        f"{message}; delete one, or set `language_model.download.{setting(kind)}: drop`"
    )


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_text_twice_is_dropped_counted_and_listed(kind: str, tmp_path: Path) -> None:
    train, left, message = REPEATED[kind]
    assert run(tmp_path, train, **{setting(kind): "drop"}).endswith(f"1 dropped_{kind} in train")
    assert texts(tmp_path) == left
    assert counts(tmp_path)[0]["findings"] == {f"dropped_{kind}": 1}
    (row,) = read_json_lines(tmp_path / "data/raw/findings.jsonl")
    assert (row["split"], row["file"], row["detail"]) == (
        "train", "train.jsonl", f"{message}; left out",
    )  # fmt: skip


@pytest.mark.parametrize("kind", REPEATED)
def test_the_same_text_twice_is_kept_and_listed(kind: str, tmp_path: Path) -> None:
    train, left, _ = REPEATED[kind]
    run(tmp_path, train, **{setting(kind): "keep"})
    assert len(texts(tmp_path)) == len(left) + 1
    assert counts(tmp_path)[0]["findings"] == {kind: 1}


def test_ids_are_numbers_of_rows_whatever_is_dropped(tmp_path: Path) -> None:
    run(tmp_path, lines("It rained.", "It rained.", "It snowed."), duplicates="drop")
    ids = [text.id for text in read_texts(tmp_path / "data/raw/train.jsonl")]
    assert ids == ["train-1", "train-3"]


def test_control_characters_are_a_note(tmp_path: Path) -> None:
    told = run(tmp_path, lines("It \x07rained."))
    assert told == "train 1 texts, validation 1 texts, 1 control_characters in train"
    assert texts(tmp_path) == ["It \x07rained."]


def test_limits_come_after_the_checks(tmp_path: Path) -> None:
    run(tmp_path, train_limit=2)
    assert texts(tmp_path) == ["It rained.", "It snowed."]
    run(tmp_path, train_limit="sample 34%")
    sample = texts(tmp_path)
    assert len(sample) == 1
    run(tmp_path, train_limit="sample 34%")
    assert texts(tmp_path) == sample
    with pytest.raises(RetuneError, match=r"train\.jsonl: line 4: the text is empty"):
        run(tmp_path, TRAIN + lines(""), train_limit=2)


def test_a_split_without_a_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"train: no text is left; see language_model\.download"):
        run(tmp_path, lines("It hailed."), overlap="drop")


@pytest.mark.parametrize(
    ("name", "value"), [("train_limit", "0%"), ("overlap", "allow"), ("sample_seed", -1)]
)
def test_bad_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        DownloadParams(**PARAMS | {name: value})


def test_real_stories_go_through(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("fairytales")
    sources = {
        split: [local_source(folder / name, None)]
        for split, name in {"train": "train.jsonl", "validation": "val.jsonl"}.items()
    }
    told = download(
        tmp_path / "data" / "raw", tmp_path / "texts.json",
        sources=sources, field="story", params=DownloadParams(**PARAMS),
    )  # fmt: skip
    assert told == "train 232 texts, validation 23 texts"


def test_the_stage_runs_on_the_bundled_corpus(tmp_path: Path) -> None:
    section = {"dataset": "bundled", "datasets": {"bundled": {}}, "download": PARAMS}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"language_model": section}))
    for attempt in ("a", "b"):
        done = subprocess.run(
            [sys.executable, "-m", "stages.language_model.download",
             "--params", f"{tmp_path}/p.yaml",
             f"{tmp_path}/{attempt}/raw", f"{tmp_path}/{attempt}/texts.json"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == "train 106 texts, validation 24 texts\n"
    names = ["findings.jsonl", "manifest.json", "train.jsonl", "validation.jsonl"]
    assert sorted(path.name for path in (tmp_path / "a/raw").iterdir()) == names
    for name in names:
        assert (tmp_path / "a/raw" / name).read_bytes() == (tmp_path / "b/raw" / name).read_bytes()
