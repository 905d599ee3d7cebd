"""Where sentences come from: the package, the hub, and files of one's own."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from retune.core.errors import RetuneError
from retune.core.params import module_names
from retune.ingest import data_sources
from retune.tasks.sentiment.datasets import bundled, files, sst2
from retune.tasks.sentiment.download.rows import Layout, Record, read_records

COMMIT = "7b6d24c440a36b6815f21b70d25016731768db1f"
OWN: dict[str, Any] = {
    "folder": "own", "train": ["a.tsv", "b.csv"], "validation": ["v.tsv"],
    "header": False, "text": 2, "label": 1, "labels": {"bad": "negative", "good": "positive"},
}  # fmt: skip


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_dataset_has_params_sources_and_layout() -> None:
    assert module_names("retune.tasks.sentiment.datasets") == ["bundled", "files", "sst2"]
    for module in (bundled, files, sst2):
        assert {"Params", "sources", "layout"} <= set(vars(module))


def test_the_bundled_files_are_read_by_their_layout() -> None:
    params = bundled.Params()
    for split, found in bundled.sources(params).items():
        (source,) = found
        assert source.name == f"{split}.tsv"
        records = read_records(source.path, source.name, bundled.layout(params))
        assert len(records) > 200
        assert all(isinstance(r, Record) and r.label in {"0", "1"} for r in records)


def test_a_missing_corpus_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data_sources, "CORPORA", tmp_path)
    with pytest.raises(RetuneError, match=r"train.tsv: no such file"):
        bundled.sources(bundled.Params())


def in_hub_cache(hub: Path, file: str, data: bytes) -> None:
    path = hub / "datasets--nyu-mll--glue" / "snapshots" / COMMIT / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_sst2_is_the_pinned_files_of_train_and_validation_alone(empty_hub: Path) -> None:
    for split in ("train", "validation", "test"):
        in_hub_cache(empty_hub, f"sst2/{split}-00000-of-00001.parquet", split.encode())
    found = sst2.sources(sst2.Params(COMMIT, sum_of(b"train"), sum_of(b"validation")))
    told = {split: [(s.path.read_bytes(), s.questions) for s in s_] for split, s_ in found.items()}
    assert told == {"train": [(b"train", 67_349)], "validation": [(b"validation", 872)]}
    assert sst2.layout(sst2.Params(COMMIT, "0" * 64, "0" * 64)).labels.get("-1") is None


def test_a_damaged_hub_cache_is_refused(empty_hub: Path) -> None:
    in_hub_cache(empty_hub, "sst2/train-00000-of-00001.parquet", b"damaged")
    with pytest.raises(RetuneError, match=f"Hugging Face cache: SHA-256 is {sum_of(b'damaged')}"):
        sst2.sources(sst2.Params(COMMIT, sum_of(b"train"), sum_of(b"validation")))


@pytest.mark.usefixtures("empty_hub")
def test_without_network_and_cache_the_offline_recipe_names_this_task() -> None:
    recipe = f"(?s)--revision {COMMIT} nyu-mll/glue sst2.*`sentiment.dataset: files` and name your"
    with pytest.raises(RetuneError, match=recipe):
        sst2.sources(sst2.Params(COMMIT, "0" * 64, "0" * 64))


@pytest.mark.parametrize("revision", ["main", COMMIT[:12]])
def test_only_a_full_commit_is_a_revision(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision"):
        sst2.Params(revision=revision, train_sha256="0" * 64, validation_sha256="0" * 64)


def test_own_files_stand_in_one_folder(tmp_path: Path) -> None:
    for name in ("a.tsv", "b.csv", "v.tsv"):
        (tmp_path / name).write_text(name)
    params = files.Params(**OWN | {"folder": str(tmp_path)})
    found = files.sources(params)
    assert [source.name for source in found["train"]] == ["a.tsv", "b.csv"]
    assert files.layout(params) == Layout(False, 2, 1, OWN["labels"])
    with pytest.raises(
        RetuneError, match=r"\.\./x\.tsv is not in the folder .*, so that DVC would"
    ):
        files.sources(files.Params(**OWN | {"folder": str(tmp_path), "train": ["../x.tsv"]}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "sentence"}, "text is 'sentence', but tables without a header have columns 1, 2"),
        ({"train": ["a.jsonl"], "header": True}, r"text is 2, but a\.jsonl has names and no numb"),
        ({"train": ["a.xlsx"]}, r"a\.xlsx is not read; allowed: \.tsv, \.csv, \.jsonl"),
        ({"label": 2}, "text and label are the same column"),
        ({"labels": {"good": "positive"}}, "labels names none that means negative"),
        ({"labels": {"good": "nice"}}, "labels"),
        ({"text": 0}, "text"),
        ({"text": ""}, "text"),
    ],
)
def test_settings_of_files_that_cannot_be_meant_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        files.Params(**OWN | changes)


def test_lines_of_json_need_no_header(tmp_path: Path) -> None:
    for name in ("a.jsonl", "v.jsonl"):
        (tmp_path / name).write_text("{}")
    changes = {"folder": str(tmp_path), "train": ["a.jsonl"], "validation": ["v.jsonl"]}
    params = files.Params(**OWN | changes | {"text": "sentence", "label": "label"})
    assert [source.name for source in files.sources(params)["validation"]] == ["v.jsonl"]


def test_a_split_needs_a_file() -> None:
    with pytest.raises(RetuneError, match=r"sentiment.datasets.files.validation in the params na"):
        files.sources(files.Params(**OWN | {"validation": []}))
