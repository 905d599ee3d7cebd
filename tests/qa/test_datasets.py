import hashlib
import socket
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import pytest
from huggingface_hub import constants
from pydantic import ValidationError

from retune.core.errors import RetuneError
from retune.core.params import module_names
from retune.ingest import data_sources
from retune.tasks.qa.datasets import bundled, files, squad, squad_v2

COMMIT = "7b6d24c440a36b6815f21b70d25016731768db1f"


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> NoReturn:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Empty caches of the hub and of our own; gives the hub's."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    return tmp_path / "hub"


def in_hub_cache(hub: Path, repository: str, file: str, data: bytes) -> None:
    folder = hub / f"datasets--{repository.replace('/', '--')}"
    blob = folder / "blobs" / sum_of(data)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    link = folder / "snapshots" / COMMIT / file
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(blob)


def test_every_dataset_has_params_and_sources() -> None:
    assert {"bundled", "files", "squad", "squad_v2"} <= set(
        module_names("retune.tasks.qa.datasets")
    )


def test_bundled_takes_the_files_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(data_sources, "CORPORA", tmp_path)
    for split in ("train", "validation", "test"):
        path = tmp_path / "encyclopaedia" / f"{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(split)
    found = bundled.sources(bundled.Params())
    assert {split: [s.name for s in sources] for split, sources in found.items()} == {
        "train": ["train.json"],
        "validation": ["validation.json"],
        "test": ["test.json"],
    }
    assert bundled.has_validation(bundled.Params())
    assert found["train"][0].sha256 == sum_of(b"train")


def test_a_missing_corpus_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data_sources, "CORPORA", tmp_path)
    with pytest.raises(RetuneError, match=r"train.json: no such file"):
        bundled.sources(bundled.Params())


@pytest.mark.parametrize(
    ("dataset", "folder", "counts"),
    [(squad, "plain_text", (87_599, 10_570)), (squad_v2, "squad_v2", (130_319, 11_873))],
)
@pytest.mark.usefixtures("no_network")
def test_the_hub_cache_is_used_without_network(
    caches: Path, dataset: Any, folder: str, counts: tuple[int, int]
) -> None:
    for split in ("train", "validation"):
        file = f"{folder}/{split}-00000-of-00001.parquet"
        in_hub_cache(caches, dataset.REPOSITORY, file, split.encode())
    params = dataset.Params(COMMIT, sum_of(b"train"), sum_of(b"validation"))
    found = dataset.sources(params)
    assert {split: s.questions for split, (s,) in found.items()} == dict(
        zip(("train", "test"), counts, strict=True)
    )
    assert found["test"][0].path.read_bytes() == b"validation"  # the hub's name of the dev split
    assert not dataset.has_validation(params)
    assert found["train"][0].path.read_bytes() == b"train"
    assert found["train"][0].name == "train-00000-of-00001.parquet"


@pytest.mark.usefixtures("no_network")
def test_a_damaged_hub_cache_is_refused(caches: Path) -> None:
    in_hub_cache(caches, squad.REPOSITORY, "plain_text/train-00000-of-00001.parquet", b"damaged")
    with pytest.raises(RetuneError, match=f"Hugging Face cache: SHA-256 is {sum_of(b'damaged')}"):
        squad.sources(squad.Params(COMMIT, sum_of(b"train"), sum_of(b"validation")))


RECIPE = f"(?s)hf download --repo-type dataset --revision {COMMIT} rajpurkar/squad plain.*files"


@pytest.mark.usefixtures("no_network", "caches")
def test_without_network_and_cache_the_offline_recipe_is_named() -> None:
    with pytest.raises(RetuneError, match=RECIPE):
        squad.sources(squad.Params(COMMIT, "0" * 64, "0" * 64))


@pytest.mark.usefixtures("no_network", "caches")
def test_the_hubs_offline_switch_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RetuneError, match=r"not in the cache and HF_HUB_OFFLINE is set"):
        squad.sources(squad.Params(COMMIT, "0" * 64, "0" * 64))


@pytest.mark.usefixtures("no_network", "caches")
def test_our_own_cache_serves_hub_files_too(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for data in (b"train", b"validation"):
        (own / sum_of(data)).write_bytes(data)
    found = squad.sources(squad.Params(COMMIT, sum_of(b"train"), sum_of(b"validation")))
    assert found["test"][0].path.read_bytes() == b"validation"


def test_the_hub_address_is_pinned_to_the_commit() -> None:
    file = "plain_text/train-00000-of-00001.parquet"
    url = huggingface_hub.hf_hub_url(squad.REPOSITORY, file, repo_type="dataset", revision=COMMIT)
    assert f"/datasets/rajpurkar/squad/resolve/{COMMIT}/" in url


@pytest.mark.parametrize("revision", ["main", COMMIT[:12], COMMIT.upper()])
def test_only_a_full_commit_is_a_revision(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision"):
        squad.Params(revision=revision, train_sha256="0" * 64, test_sha256="0" * 64)


def test_files_may_be_many_and_are_verified(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "c.json"):
        (tmp_path / name).write_text(name)
    train = [files.File("a.json", None), files.File("b.json", sum_of(b"b.json"))]
    found = files.sources(files.Params(str(tmp_path), train, [], [files.File("c.json", None)]))
    assert [s.name for s in found["train"]] == ["a.json", "b.json"]
    assert found["test"][0].sha256 == sum_of(b"c.json")
    assert "validation" not in found


def test_a_file_with_another_sum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("other")
    file = files.File("a.json", sum_of(b"a.json"))
    message = f"a.json: SHA-256 is {sum_of(b'other')}, expected {sum_of(b'a.json')}"
    with pytest.raises(RetuneError, match=message):
        files.sources(files.Params(str(tmp_path), [file], [file], [file]))


def test_a_missing_file_is_named() -> None:
    file = files.File("a.json", None)
    with pytest.raises(RetuneError, match=r"nowhere/a.json: no such file; paths start from"):
        files.sources(files.Params("nowhere", [file], [file], [file]))


@pytest.mark.parametrize("path", ["../b.json", "link.json"])
def test_a_file_that_dvc_would_not_watch_is_refused(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (tmp_path / "b.json").write_text("b")
    (folder / "link.json").symlink_to(tmp_path / "b.json")
    file = files.File(path, None)
    with pytest.raises(RetuneError, match=f"{path} is not in the folder {folder}, so that DVC"):
        files.sources(files.Params(str(folder), [file], [file], [file]))


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("https://example.org/a.json", None, "a URL needs its sha256"),
        ("ftp://example.org/a.json", None, "only http:// and https:// URLs and local paths"),
        ("a.json", "abc", "should match pattern"),
    ],
)
def test_bad_entries_are_refused(path: str, sha256: str | None, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        files.File(path, sha256)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_needs_a_file(split: str) -> None:
    some: dict[str, Any] = {name: [files.File("a.json", None)] for name in ("train", "test")}
    params = files.Params(".", validation=[], **some | {split: []})
    with pytest.raises(RetuneError, match=rf"qa.datasets.files.{split} in the params names no"):
        files.sources(params)


@pytest.mark.parametrize("count", [0, 2])
def test_a_validation_split_of_ones_own_may_be_absent(count: int, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(name)
    file, own = files.File("a.json", None), [files.File("b.json", None)] * count
    params = files.Params(str(tmp_path), [file], own, [file])
    assert files.has_validation(params) == bool(count)
    assert ("validation" in files.sources(params)) == bool(count)


def test_a_url_is_fetched_into_the_cache(monkeypatch: pytest.MonkeyPatch, caches: Path) -> None:
    monkeypatch.setattr("retune.fetch.fetching.fetch", lambda url, sha256, target: target)
    file = files.File("https://example.org/some%20data.json?x=1", "0" * 64)
    (found,) = files.sources(files.Params(".", [file], [file], [file]))["train"]
    assert (found.name, found.sha256) == ("some data.json", "0" * 64)
    assert found.path == caches.parent / "own" / ("0" * 64)
