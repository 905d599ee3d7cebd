import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import DATA, PAGE, SUM, Hostile, running
from hub_server import COMMIT, HubServer, serving
from huggingface_hub import constants

from retune.core.errors import RetuneError
from retune.fetch import transfer
from retune.fetch.fetching import cache_folder, fetch, hub_source


@pytest.fixture
def server() -> Iterator[str]:
    with running() as address:
        yield address


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "file"


def partial(target: Path) -> Path:
    return target.with_name("file.partial")


@pytest.mark.parametrize("path", ["good", "whole", "unsized", "moved"])
def test_a_good_file_arrives_whole(server: str, target: Path, path: str) -> None:
    assert fetch(f"{server}/{path}", SUM, target) == target
    assert target.read_bytes() == DATA
    assert not partial(target).exists()


def test_a_file_that_is_there_needs_no_network(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(DATA)
    fetch("http://127.0.0.1:9/nobody", SUM, target)


def test_a_damaged_file_is_neither_used_nor_replaced(server: str, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"damaged")
    actual = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(
        RetuneError, match=f"SHA-256 is {actual}, expected {SUM}.*delete it and download it"
    ):
        fetch(f"{server}/good", SUM, target)
    assert target.read_bytes() == b"damaged"
    assert Hostile.asked == []


@pytest.mark.parametrize(("path", "start"), [("good", 1000), ("whole", 1000)])
def test_an_interrupted_download_is_resumed_or_restarted(
    server: str, target: Path, path: str, start: int
) -> None:
    target.parent.mkdir()
    partial(target).write_bytes(DATA[:start])
    fetch(f"{server}/{path}", SUM, target)
    assert target.read_bytes() == DATA
    assert Hostile.asked == [(f"/{path}", f"bytes={start}-")]


def test_a_download_killed_before_its_last_step_is_finished(server: str, target: Path) -> None:
    target.parent.mkdir()
    partial(target).write_bytes(DATA)
    fetch(f"{server}/good", SUM, target)
    assert target.read_bytes() == DATA


def test_a_cut_body_is_an_error_and_the_next_run_goes_on(server: str, target: Path) -> None:
    with pytest.raises(RetuneError, match=r"/cut: the download failed or broke off .*run again"):
        fetch(f"{server}/cut", SUM, target)
    assert not target.exists()
    received = partial(target).stat().st_size
    fetch(f"{server}/good", SUM, target)
    assert target.read_bytes() == DATA
    assert Hostile.asked[1] == ("/good", f"bytes={received}-" if received else None)


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("long", DATA + b"more", "or correct the sum in params.yaml"),
        ("page", PAGE, "the server sent a web page"),
    ],
)
def test_a_wrong_sum_is_reported_with_both_sums(
    server: str, target: Path, path: str, body: bytes, hint: str
) -> None:
    actual = hashlib.sha256(body).hexdigest()
    message = f"{server}/{path}: SHA-256 is {actual}, expected {SUM}; .*{hint}"
    with pytest.raises(RetuneError, match=message):
        fetch(f"{server}/{path}", SUM, target)
    assert not target.exists()
    assert not partial(target).exists()
    assert target.with_name("file.bad").read_bytes() == body


def test_a_foreign_partial_file_heals_by_itself(server: str, target: Path) -> None:
    target.parent.mkdir()
    partial(target).write_bytes(b"something else")
    with pytest.raises(RetuneError, match="SHA-256 is"):
        fetch(f"{server}/good", SUM, target)
    fetch(f"{server}/good", SUM, target)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone", "/gone: the server answered 404 Not Found; check the URL"),
        ("loop", "/loop: more than 5 redirects; check the URL"),
        ("huge", "/huge: larger than 4,294,967,296 bytes"),
    ],
)
def test_bad_answers_are_sentences(server: str, target: Path, path: str, message: str) -> None:
    with pytest.raises(RetuneError, match=message):
        fetch(f"{server}/{path}", SUM, target)
    assert not target.exists()


def test_an_endless_body_is_stopped(
    server: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 200_000)
    with pytest.raises(RetuneError, match="/endless: larger than 200,000 bytes"):
        fetch(f"{server}/endless", SUM, target)
    assert not partial(target).exists()


@pytest.mark.parametrize(("name", "path"), [("READ_SECONDS", "slow"), ("MAX_SECONDS", "endless")])
def test_a_slow_server_is_given_up(
    server: str, target: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.setattr(transfer, name, 0.1)
    with pytest.raises(RetuneError, match=rf"/{path}: the download failed .*Timeout"):
        fetch(f"{server}/{path}", SUM, target)


def test_a_server_out_of_reach_is_a_sentence(target: Path) -> None:
    with pytest.raises(RetuneError, match=r"127.0.0.1:9/file: the download failed .*ConnectionErr"):
        fetch("http://127.0.0.1:9/file", SUM, target)


def test_two_downloads_at_once_share_one_transfer(server: str, target: Path) -> None:
    threads = [
        threading.Thread(target=fetch, args=(f"{server}/good", SUM, target)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == DATA
    assert len(Hostile.asked) == 1


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("RETUNE_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "retune"


def test_a_branch_of_the_hub_is_refused() -> None:
    with pytest.raises(RetuneError, match=r"revision 'main' is not a commit of 40 hex"):
        hub_source("rajpurkar/squad", "file", "main", SUM)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A mirror of the hub with one data set, and empty caches."""
    (tmp_path / "set/folder").mkdir(parents=True)
    (tmp_path / "set/folder/file.parquet").write_bytes(DATA)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with serving({"datasets/some/set": tmp_path / "set"}) as server:
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server


def test_a_hub_file_is_downloaded_once(hub: HubServer) -> None:
    for _ in range(2):
        found = hub_source("some/set", "folder/file.parquet", COMMIT, SUM, 7)
        assert (found.name, found.questions) == ("file.parquet", 7)
        assert found.path.read_bytes() == DATA
    assert [method for method, _ in hub.asked].count("GET") == 1


@pytest.mark.parametrize(
    ("repository", "file", "message"),
    [
        ("some/other", "folder/file.parquet", "some/other: the hub shows no such data set to you"),
        ("some/set", "absent.csv", r"some/set: absent.csv cannot be downloaded \(RemoteEntryNot"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_file_that_the_hub_does_not_have(repository: str, file: str, message: str) -> None:
    with pytest.raises(RetuneError, match=rf"(?s){message}.*To work offline"):
        hub_source(repository, file, COMMIT, SUM)


@pytest.mark.usefixtures("hub")
def test_a_hub_file_with_another_sum_is_not_used() -> None:
    with pytest.raises(RetuneError, match=rf"in the Hugging Face cache: SHA-256 is {SUM}, expect"):
        hub_source("some/set", "folder/file.parquet", COMMIT, "0" * 64)
