"""Faults of downloads and of the files that they bring: a row for each."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import hostile
import pyarrow as pa
import pytest
from filelock import FileLock
from hostile import DATA, PAGE, SUM, Hostile
from namespaces import REMOUNT, mounted
from pyarrow import parquet

from retune.core.errors import RetuneError
from retune.fetch import fetching, transfer
from retune.fetch.fetching import fetch, hub_source, local_source
from retune.tasks.qa.datasets import files
from retune.tasks.qa.datasets.squad import Params as Squad
from retune.tasks.qa.download.download import DownloadParams, download

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PARAMS = DownloadParams(
    train_limit=None, validation_limit=None, test_limit=None, validation_share=None, sample_seed=1,
    realign=False, unanswerable="drop", shared_contexts="error",
)  # fmt: skip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with hostile.running() as address:
        yield address


@pytest.fixture
def server(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    Hostile.asked.clear()
    return address


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / SUM


def beside(target: Path, kind: str) -> Path:
    return target.with_name(f"{target.name}.{kind}")


def run_fetch(url: str, target: Path, *before: str, limit: int = 0) -> tuple[int, str]:
    """Fetch in another process; the exit code, and what it says. `limit`: bytes of a file."""
    code = (
        "import sys, resource; from pathlib import Path\n"
        "from retune.fetch.fetching import fetch; from retune.core.user_errors import guarded\n"
        "url, sum, target, limit = sys.argv[1:]\n"
        "if int(limit): resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))\n"
        "sys.exit(guarded(lambda: fetch(url, sum, Path(target)), 'download'))"
    )
    arguments = [sys.executable, "-c", code, url, SUM, str(target), str(limit)]
    done = subprocess.run([*before, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


# Transfers. A row: what the server does at `/path`, what was received before, the message.

SMALL = {"READ_SECONDS": 0.2, "ANSWER_SECONDS": 0.3}
TRANSFERS = [
    pytest.param("cut", b"", {}, "failed or broke off .*run again", id="D01 body cut short"),
    pytest.param("short", b"", {}, f"expected {SUM}", id="D02 a byte less, length agreeing"),
    pytest.param("long", b"", {}, f"expected {SUM}", id="D02 bytes more than the file has"),
    pytest.param("lie", DATA[:9], {}, f"expected {SUM}", id="D02 range announced, start sent"),
    pytest.param("page", b"", {}, f"expected {SUM}.*sent a web page", id="D03 page for a file"),
    pytest.param("gone", b"", {}, "answered 404 Not Found", id="D03 HTTP error"),
    pytest.param("empty", b"", {}, "answered 204 No Content", id="D03 success without a body"),
    pytest.param("never", b"", {}, "answered 416", id="D03 416 to a request for all"),
    pytest.param("unasked", b"", {}, "answered 206", id="D03 a part, unasked"),
    pytest.param("silent", b"", SMALL, "failed .*Timeout", id="D04 server that never answers"),
    pytest.param("headers", b"", SMALL, "failed .*Timeout", id="D04 headers drip for ever"),
    pytest.param("slow", b"", SMALL, "broke off .*Time", id="D04 body never begins"),
    pytest.param(
        "drip", b"", {"SLOW_SECONDS": 0.1}, "broke off .*Timeout", id="D04 body drips for ever"
    ),
    pytest.param(
        "trailers", b"", {"MAX_SECONDS": 0.2}, "broke off", id="D04 trailers without an end"
    ),
    pytest.param(
        "endless", b"", {"MAX_SECONDS": 0.2}, "broke off .*Timeout", id="D04 body lasts for ever"
    ),
    pytest.param("endless", b"", {"MAX_BYTES": 10**5}, "larger than 100,000", id="D06 endless"),
    pytest.param("chunks", b"", {"MAX_BYTES": 10**5}, "larger than 100,000", id="D06 in chunks"),
    pytest.param("huge", b"", {}, "larger than 4,294,967,296 bytes", id="D06 length of a petabyte"),
    pytest.param("digits", b"", {}, f"expected {SUM}", id="D06 length of 5,000 digits"),
    pytest.param("bomb", b"", {}, "compresses the file .gzip.", id="D06 gzip bomb"),
    pytest.param("hidden", b"", {}, f"expected {SUM}", id="D06 gzip bomb that hides"),
    pytest.param("loop", b"", {}, "more than 5 redirects", id="D12 redirects in circles"),
    pytest.param("file", b"", {}, "redirects to file:///etc/passwd", id="D12 to a local file"),
    pytest.param("ftp", b"", {}, "redirects to ftp://127.0.0.1/x", id="D12 to another protocol"),
    pytest.param("data", b"", {}, "redirects to data:text", id="D12 to what is no place"),
    pytest.param("garbled", b"", {}, "leads to an address that cannot", id="D12 to nonsense"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "before", "limits", "message"), TRANSFERS)
def test_a_bad_transfer_is_a_sentence_and_no_file(
    path: str,
    before: bytes,
    limits: dict[str, float],
    message: str,
    server: str,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if before:
        target.parent.mkdir()
        beside(target, "partial").write_bytes(before)
    with monkeypatch.context() as patches:
        for name, value in limits.items():
            patches.setattr(transfer, name, value)
        with pytest.raises(RetuneError, match=f"/{path}.*{message}"):
            fetch(f"{server}/{path}", SUM, target)
    assert not target.exists()
    # Nothing that is left spoils the next run, which gets the file as soon as it is there.
    fetch(f"{server}/whole", SUM, target)
    assert sorted(p.name for p in target.parent.iterdir()) in ([SUM], [SUM, f"{SUM}.lock"])


@pytest.mark.parametrize(
    ("path", "before", "asked"),
    [
        pytest.param("good", 1000, ["bytes=1000-"], id="D01 the rest of a cut file"),
        pytest.param("good", len(DATA), [f"bytes={len(DATA)}-"], id="D01 killed before renaming"),
        pytest.param("whole", 1000, ["bytes=1000-"], id="D01 range ignored: from the start"),
        pytest.param("part", 1000, ["bytes=1000-", None], id="D01 another range: asked anew"),
        pytest.param("body", 0, [None, None], id="D12 redirect with an endless body"),
    ],
)
def test_a_download_goes_on_or_starts_anew(
    path: str, before: int, asked: list[str | None], server: str, target: Path
) -> None:
    target.parent.mkdir()
    if before:
        beside(target, "partial").write_bytes(DATA[:before])
    fetch(f"{server}/{path}", SUM, target)
    assert target.read_bytes() == DATA
    assert [span for _, span in Hostile.asked] == asked
    assert not beside(target, "partial").exists()


@pytest.mark.parametrize("path", [pytest.param("stall", id="D01 killed midway")])
def test_a_killed_download_leaves_no_file_and_the_next_goes_on(
    path: str, server: str, target: Path
) -> None:
    code = (
        f"from retune.fetch.fetching import *; fetch('{server}/{path}', '{SUM}', Path('{target}'))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        while running.poll() is None and not (
            beside(target, "partial").exists() and beside(target, "partial").stat().st_size
        ):
            time.sleep(0.01)
        running.kill()
    assert not target.exists()
    received = beside(target, "partial").stat().st_size
    assert 0 < received <= len(DATA) // 2
    fetch(f"{server}/good", SUM, target)
    assert target.read_bytes() == DATA
    assert Hostile.asked[1:] == [("/good", f"bytes={received}-")]


@pytest.mark.parametrize("path", [pytest.param("page", id="D02 wrong sum, twice")])
def test_a_file_with_a_wrong_sum_is_kept_apart_and_never_used(
    path: str, server: str, target: Path
) -> None:
    actual = hashlib.sha256(PAGE).hexdigest()
    for _ in range(2):
        with pytest.raises(RetuneError, match=f"SHA-256 is {actual}, expected {SUM}.*kept as "):
            fetch(f"{server}/{path}", SUM, target)
        assert beside(target, "bad").read_bytes() == PAGE
    assert len(Hostile.asked) == 2


# The hub.


@pytest.mark.parametrize(
    "revision",
    [
        pytest.param("main", id="D05 branch"),
        pytest.param("v1.0", id="D05 tag"),
        pytest.param(COMMIT[:7], id="D05 short commit"),
        pytest.param(f"{COMMIT}\n", id="D05 commit with a line end"),
    ],
)
def test_a_revision_that_can_move_is_refused(revision: str, server: str) -> None:
    with pytest.raises(RetuneError, match="is not a commit of 40 hexadecimal digits"):
        hub_source("rajpurkar/squad", "file", revision, SUM)
    with pytest.raises(ValueError, match="revision"):
        Squad(revision=revision, train_sha256=SUM, test_sha256=SUM)
    assert Hostile.asked == []


@pytest.fixture
def hub(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, empty; the hub itself is at an address where nobody listens."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RETUNE_CACHE", str(tmp_path / "own"))
    url = "http://127.0.0.1:9/file"
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda *args, **options: url)
    return tmp_path / "hub/datasets--some--set/snapshots" / COMMIT


@pytest.mark.parametrize("name", [pytest.param("file", id="D04 offline, in the cache")])
def test_a_cached_file_of_the_hub_needs_no_network(name: str, hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / name).write_bytes(DATA)
    assert hub_source("some/set", name, COMMIT, SUM).path == hub / name
    (hub / name).write_bytes(DATA[:-1])
    with pytest.raises(RetuneError, match=f"file in the Hugging Face cache.*expected {SUM}"):
        hub_source("some/set", "file", COMMIT, SUM)


@pytest.mark.parametrize("name", [pytest.param("file", id="D04 offline, not in the cache")])
def test_a_hub_note_long_answers_is_told_with_the_offline_recipe(name: str, hub: Path) -> None:
    recipe = f"hf download --repo-type dataset --revision {COMMIT} some/set {name}"
    with pytest.raises(RetuneError, match=rf"(?s)ConnectError.*To work offline.*{recipe}"):
        hub_source("some/set", "file", COMMIT, SUM)


# Files that are not what they should be.


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(20_000_000))
    return buffer.getvalue()


def tarred(name: str, kind: bytes = tarfile.REGTYPE, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, "/etc/passwd", 0
        archive.addfile(member, io.BytesIO())
    return buffer.getvalue()


def table(context: str) -> bytes:
    rows = {"id": ["1"], "context": [context], "question": ["?"], "answers": ["{}"]}
    buffer = io.BytesIO()
    parquet.write_table(pa.table(rows), buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


FILES = [
    pytest.param("x.json", zipped("x.json"), "is a zip archive; unpack it", id="D06 zip bomb"),
    pytest.param("x.json", hostile.BOMB, "compressed by gzip; unpack it", id="D06 gzip bomb"),
    pytest.param("x.json", b"\x28\xb5\x2f\xfd12", "compressed by zstd", id="D06 zstd"),
    pytest.param("x.json", b"BZh91AY", "compressed by bzip2", id="D06 bzip2"),
    pytest.param("x.json", b"\xfd7zXZ\0", "compressed by xz", id="D06 xz"),
    pytest.param("x.json", b"7z\xbc\xaf\x27\x1c", "is a 7z archive", id="D06 7z"),
    pytest.param(
        "x.parquet", table("a" * 80_000_000), "unpack to 80,000,[0-9]{3}", id="D06 Parquet bomb"
    ),
    pytest.param("x.json", zipped("../up.json"), "is a zip archive", id="D07 .. in a zip"),
    pytest.param("x.json", tarred("../up.json"), "is a tar archive", id="D07 .. in a tar"),
    pytest.param(
        "x.csv", tarred("../up.json", mode="w:gz"), "compressed by gzip", id="D07 .. in a tar.gz"
    ),
    pytest.param("x.json", tarred("/x"), "is a tar archive", id="D08 absolute path"),
    pytest.param("x.json", tarred("x", tarfile.SYMTYPE), "is a tar archive", id="D08 symlink"),
    pytest.param("x.json", tarred("x", tarfile.CHRTYPE), "is a tar archive", id="D08 device"),
    pytest.param("x.json", b"[" * 100_000, "nested too deeply", id="D09 100,000 lists"),
    pytest.param("x.json", b'{"a":' * 100_000, "nested too deeply", id="D09 100,000 objects"),
    pytest.param("x.json", b'[{"id":' + b"1" * 5000 + b"}]", "4,300 digits", id="D09 5,000 digits"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), FILES)
def test_a_file_that_is_no_data_is_named_and_nothing_is_unpacked(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / name).write_bytes(content)
    entry = files.File(name, hashlib.sha256(content).hexdigest())
    sources = files.sources(files.Params(str(folder), [entry], [], [entry]))
    with pytest.raises(RetuneError, match=f"{name}.*{message}"):
        download(tmp_path / "raw", tmp_path / "test", tmp_path / "m.json", sources=sources,
                 params=PARAMS, squad_v2=False)  # fmt: skip
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [
        Path("data"),
        Path("data", name),
    ]


# Disks.


@pytest.mark.parametrize("options", [pytest.param("size=200k", id="D10 full disk")])
def test_a_full_disk_keeps_the_good_file_and_no_part(
    options: str, server: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        "import sys; from pathlib import Path; from retune.fetch.fetching import *\n"
        "url, sum, folder = sys.argv[1:]\n"
        "good = Path(folder, 'good'); good.write_bytes(b'good')\n"
        "try: fetch(url, sum, Path(folder, 'file'))\n"
        "except RetuneError as error: print(error)\n"
        "print(good.read_bytes(), *sorted(p.name for p in Path(folder).iterdir()))"
    )
    before = mounted(str(disk), options)
    command = [*before, sys.executable, "-c", script, f"{server}/good", SUM, str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told, left = done.stdout.splitlines()
    assert told.startswith(f"{disk}/file.partial: No space left on device; make room there")
    assert left in ("b'good' good", "b'good' file.lock good")


@pytest.mark.parametrize("limit", [pytest.param(100_000, id="D10 quota")])
def test_a_quota_is_a_sentence_and_the_next_run_succeeds(
    limit: int, server: str, target: Path
) -> None:
    code, said = run_fetch(f"{server}/good", target, limit=limit)
    assert code == 1
    assert f"download: error: {beside(target, 'partial')}: File too large; make room" in said
    assert "Traceback" not in said
    assert not target.exists()
    assert not beside(target, "partial").exists()
    assert run_fetch(f"{server}/good", target) == (0, "")


@pytest.mark.parametrize("limit", [pytest.param(100_000, id="D10 full disk under the stage")])
def test_a_full_disk_keeps_the_earlier_output_of_the_stage(
    limit: int, root: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train.jsonl").write_text("earlier")
    code = (
        "import resource, sys, runpy; sys.argv[0] = 'x'\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "runpy.run_module('stages.qa.download', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", code, str(raw), str(tmp_path / "test"),
               str(tmp_path / "metrics.json")]  # fmt: skip
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    partial = tmp_path / ".raw.partial" / "train.jsonl"
    assert done.stderr.endswith(f"download: error: {partial}: File too large\n")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["raw", "train.jsonl"]
    assert (raw / "train.jsonl").read_text() == "earlier"


@pytest.mark.parametrize("options", [pytest.param("ro", id="D11 read-only disk")])
def test_a_read_only_disk_is_told_before_any_work(
    options: str, server: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    target = disk / "cache" / "file"
    code, said = run_fetch(f"{server}/good", target, *mounted(str(disk), options))
    assert (code, Hostile.asked) == (1, [])
    assert f"{target.parent}: downloads cannot be stored here (Read-only file system)" in said
    assert "set RETUNE_CACHE to a folder that can be written" in said


@pytest.mark.parametrize("name", [pytest.param("cache", id="D11 a file for a folder")])
def test_a_folder_that_cannot_be_is_told_before_any_work(
    name: str, server: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("a file")
    target = tmp_path / name / "file"
    with pytest.raises(RetuneError, match=r"cache: downloads cannot be stored here .*RETUNE_CACHE"):
        fetch(f"{server}/good", SUM, target)
    assert Hostile.asked == []


@pytest.mark.parametrize(
    "options", [pytest.param("remount,ro", id="D11 read-only cache that has the file")]
)
def test_a_file_in_a_read_only_cache_is_used(options: str, server: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "file").write_bytes(DATA)
    script = f'cp "$1" "$2" && {REMOUNT} "$3" "$2" && shift 3 && exec "$@"'
    before = [*mounted(str(disk), "size=2m"), "sh", "-c", script, "sh"]
    before += [str(tmp_path / "file"), str(disk), options]
    assert run_fetch(f"{server}/good", disk / "file", *before) == (0, "")
    assert Hostile.asked == []


# Who sent the file, and what was there.


@pytest.mark.parametrize("path", [pytest.param("elsewhere", id="D12 another host")])
def test_a_file_from_another_host_is_told_without_its_secrets(
    path: str, server: str, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(f"{server}/{path}", SUM, target)
    there = server.replace("127.0.0.1", "localhost")
    assert capsys.readouterr().err == f"{server}/elsewhere came from {there}/good\n"
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("path", [pytest.param("elsewhere", id="D12 another host, wrong sum")])
def test_the_sum_decides_over_another_host(path: str, server: str, target: Path) -> None:
    with pytest.raises(RetuneError, match=f"/elsewhere: SHA-256 is {SUM}, expected 0000"):
        fetch(f"{server}/{path}", "0" * 64, target)
    assert not target.exists()


@pytest.mark.parametrize("path", [pytest.param("good", id="D12 from https to http")])
def test_https_is_never_left_for_http(
    path: str, server: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    def answer(self: requests.Session, address: str, **_: object) -> requests.Response:
        assert address == "https://example.org/x"
        response = requests.Response()
        response.status_code = 302
        response.headers["Location"] = f"{server}/{path}"
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests.Session, "get", answer)
    with pytest.raises(RetuneError, match=f"redirects to {server}/{path}; only redirects to https"):
        fetch("https://example.org/x", SUM, target)
    assert Hostile.asked == []


@pytest.mark.parametrize("path", [pytest.param("elsewhere", id="D12 password stays")])
def test_no_password_goes_to_another_host(
    path: str, server: str, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str | None] = []
    original = Hostile.do_GET

    def do_get(self: Hostile) -> None:
        sent.append(self.headers["Authorization"])
        original(self)

    monkeypatch.setattr(Hostile, "do_GET", do_get)
    monkeypatch.setattr(
        Hostile,
        "answer_elsewhere",
        lambda self: self.redirect(f"http://localhost:{self.server.server_port}/good"),
    )
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fetch(f"{server}/{path}", SUM, target)
    assert [bool(value) for value in sent] == [True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            b"damaged", "SHA-256 is .*delete it and download it", id="D13 another file by that name"
        ),
        pytest.param(DATA[:-1] + b"x", f"expected {SUM}", id="D13 one byte flipped"),
    ],
)
def test_a_file_that_is_there_is_checked_on_every_run(
    content: bytes, message: str, server: str, target: Path
) -> None:
    fetch(f"{server}/good", SUM, target)
    fetch(f"{server}/good", SUM, target)
    assert len(Hostile.asked) == 1
    stamp = target.stat()
    target.write_bytes(content)
    os.utime(target, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(RetuneError, match=message):
        fetch(f"{server}/good", SUM, target)
    assert target.read_bytes() == content
    assert len(Hostile.asked) == 1


@pytest.mark.parametrize("name", [pytest.param("x.json", id="D13 local file")])
def test_a_local_file_is_checked_too(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(RetuneError, match=f"{name}: SHA-256 is .*, expected {SUM}"):
        local_source(tmp_path / name, SUM)


@pytest.mark.parametrize("path", [pytest.param("good", id="D14 two at once")])
def test_two_downloads_at_once_are_one_and_the_second_says_so(
    path: str, server: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    waiting = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        waiting.set()

    monkeypatch.setattr(fetching, "_tell", tell)
    target.parent.mkdir()
    second = threading.Thread(target=fetch, args=(f"{server}/{path}", SUM, target))
    with FileLock(beside(target, "lock")):  # the first
        second.start()
        assert waiting.wait(10)
        target.write_bytes(DATA)
    second.join()
    assert told == [f"another process is downloading {target}; waiting for it"]
    assert Hostile.asked == []
    assert target.read_bytes() == DATA
