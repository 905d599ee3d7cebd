"""Where texts come from: the package, the hub, and files of one's own."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from retune.core.errors import RetuneError
from retune.core.params import module_names
from retune.ingest import data_sources
from retune.tasks.language_model.datasets import bundled, coqa, files
from retune.tasks.language_model.download.download import DownloadParams, download
from retune.tasks.language_model.download.record_files import Record, read_records
from retune.tasks.language_model.texts.texts import read_texts

COMMIT = "849fcf188f7f79d887888bcbd81aec3b4ea4f5fa"
OWN: dict[str, Any] = {
    "folder": "own", "train": ["a.txt", "b.jsonl"], "validation": ["v.txt"], "text": "story",
}  # fmt: skip


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_dataset_has_params_sources_and_field() -> None:
    assert module_names("retune.tasks.language_model.datasets") == ["bundled", "coqa", "files"]
    for module in (bundled, coqa, files):
        assert {"Params", "sources", "field"} <= set(vars(module))


def test_the_bundled_stories_are_read_whole() -> None:
    params = bundled.Params()
    counts = {}
    for split, (source,) in bundled.sources(params).items():
        assert source.name == f"{split}.jsonl"
        rows = [json.loads(line) for line in source.path.read_text("utf-8").splitlines()]
        records = read_records(source.path, source.name, bundled.field(params))
        assert [r.text for r in records if isinstance(r, Record)] == [r["story"] for r in rows]
        counts[split] = len(records)
    assert counts == {"train": 106, "validation": 24}


def test_a_missing_corpus_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data_sources, "CORPORA", tmp_path)
    with pytest.raises(RetuneError, match=r"train.jsonl: no such file"):
        bundled.sources(bundled.Params())


def in_hub_cache(hub: Path, split: str, data: bytes) -> None:
    path = hub / "datasets--stanfordnlp--coqa" / "snapshots" / COMMIT / f"default/{split}"
    path.mkdir(parents=True)
    (path / "0000.parquet").write_bytes(data)


def conversations(stories: list[str]) -> bytes:
    """A Parquet file with the columns of CoQA."""
    table = pa.table({
        "source": ["wikipedia"] * len(stories),
        "story": stories,
        "questions": [["What?", "Who?"]] * len(stories),
        "answers": [{"input_text": ["x"], "answer_start": [1]}] * len(stories),
    })  # fmt: skip
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def test_coqa_is_the_stories_of_both_splits_and_nothing_else(
    empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = {"train": ["One. Two.", "Three. Four."], "validation": ["Five. Six."]}
    data = {split: conversations(texts) for split, texts in stories.items()}
    for split, content in data.items():
        in_hub_cache(empty_hub, split, content)
    params = coqa.Params(COMMIT, sum_of(data["train"]), sum_of(data["validation"]))
    found = coqa.sources(params)
    assert {s: [source.questions for source in sources] for s, sources in found.items()} == {
        "train": [7_199], "validation": [500],
    }  # fmt: skip
    settings = DownloadParams(None, None, 1, "error", "error")
    places = tmp_path / "raw", tmp_path / "texts.json"
    with pytest.raises(
        RetuneError, match=r"0000\.parquet: 2 texts, but this data set has 7,199; t"
    ):
        download(*places, sources=found, field=coqa.field(params), params=settings)
    monkeypatch.setattr(coqa, "COUNTS", {"train": 2, "validation": 1})
    told = download(
        *places, sources=coqa.sources(params), field=coqa.field(params), params=settings
    )
    assert told == "train 2 texts, validation 1 texts"
    for split, texts in stories.items():
        assert [text.text for text in read_texts(tmp_path / f"raw/{split}.jsonl")] == texts


def test_a_damaged_hub_cache_is_refused(empty_hub: Path) -> None:
    in_hub_cache(empty_hub, "train", b"damaged")
    with pytest.raises(RetuneError, match=f"Hugging Face cache: SHA-256 is {sum_of(b'damaged')}"):
        coqa.sources(coqa.Params(COMMIT, sum_of(b"train"), sum_of(b"validation")))


@pytest.mark.usefixtures("empty_hub")
def test_without_network_and_cache_the_offline_recipe_names_this_task() -> None:
    recipe = f"(?s)--revision {COMMIT} stanfordnlp/coqa default.*`language_model.dataset: files`"
    with pytest.raises(RetuneError, match=recipe):
        coqa.sources(coqa.Params(COMMIT, "0" * 64, "0" * 64))


@pytest.mark.parametrize("revision", ["main", "refs/convert/parquet", COMMIT[:12]])
def test_only_a_full_commit_is_a_revision(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision"):
        coqa.Params(revision=revision, train_sha256="0" * 64, validation_sha256="0" * 64)


def test_own_files_stand_in_one_folder(tmp_path: Path) -> None:
    for name in ("a.txt", "b.jsonl", "v.txt"):
        (tmp_path / name).write_text(name)
    params = files.Params(**OWN | {"folder": str(tmp_path)})
    found = files.sources(params)
    assert [source.name for source in found["train"]] == ["a.txt", "b.jsonl"]
    assert files.field(params) == "story"
    outside = files.Params(**OWN | {"folder": str(tmp_path), "train": ["../x.txt"]})
    with pytest.raises(RetuneError, match=r"\.\./x\.txt is not in the folder .*, so that DVC woul"):
        files.sources(outside)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": ["a.pdf"]}, r"a\.pdf is not read; allowed: \.txt, \.jsonl"),
        ({"validation": ["a"]}, r"a is not read; allowed"),
        ({"text": ""}, "text"),
    ],
)
def test_settings_of_files_that_cannot_be_meant_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        files.Params(**OWN | changes)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_needs_a_file(split: str, tmp_path: Path) -> None:
    for name in ("a.txt", "b.jsonl", "v.txt"):
        (tmp_path / name).write_text(name)
    message = f"language_model.datasets.files.{split} in the params names no file; add some"
    with pytest.raises(RetuneError, match=message):
        files.sources(files.Params(**OWN | {"folder": str(tmp_path), split: []}))
