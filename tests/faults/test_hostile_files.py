"""Files that are none, change while they are read, or unfold to more than the memory."""

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import tiny
from pyarrow import parquet

from retune.core import plain_files
from retune.core.errors import RetuneError
from retune.core.files import write_json
from retune.core.plain_files import read_bytes, require_unchanged, sha256, summed
from retune.core.user_files import file_inside, read_lines
from retune.core.yaml_files import load_yaml
from retune.fetch.fetching import local_source, url_source
from retune.tasks.language_model.download.record_files import read_records as read_texts
from retune.tasks.qa.datasets.files import File
from retune.tasks.qa.download.reading import read_records
from retune.tasks.sentiment.download.rows import Layout
from retune.tasks.sentiment.download.rows import read_records as read_rows
from retune.tools.data_doctor.doctor import Options, diagnose

LAYOUT = Layout(text="text", label="label", labels={"0": "negative"}, header=True)


def json_file(path: Path, name: str) -> None:
    write_json(path, tiny.squad(range(1)) | {"version": name})


def parquet_of(path: Path, name: str) -> None:
    parquet.write_table(pa.table({"text": [name], "label": ["0"]}), path)


def lines(path: Path, name: str) -> None:
    path.write_text(f'{{"text": "{name}"}}\n', encoding="utf-8")


READERS = [
    pytest.param("a.json", json_file, read_records, id="D41 questions as JSON"),
    pytest.param("a.parquet", parquet_of, read_records, id="D41 questions as Parquet"),
    pytest.param(
        "a.parquet", parquet_of, lambda *given: read_rows(given[0], given[1], LAYOUT, given[2]),
        id="D41 labelled texts",
    ),
    pytest.param(
        "a.jsonl", lines, lambda *given: read_texts(given[0], given[1], "text", given[2]),
        id="D41 texts of a language model",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "write", "read"), READERS)
def test_a_file_replaced_after_its_sum_is_never_read(
    tmp_path: Path, name: str, write: Callable[[Path, str], None], read: Callable[..., object]
) -> None:
    path = tmp_path / name
    write(path, "good")
    source = local_source(path, None)
    write(tmp_path / "other", "evil")
    os.replace(tmp_path / "other", path)
    with pytest.raises(RetuneError, match=r"replaced or changed after its SHA-256 was compared"):
        read(source.path, source.name, source.sha256)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: os.replace(path.with_name("b"), path), id="D42 replaced"),
        pytest.param(lambda path: path.write_bytes(b"evil"), id="D42 written over"),
        pytest.param(lambda path: path.unlink(), id="D42 removed"),
    ],
)
def test_a_file_that_a_library_opens_is_still_the_one_that_was_summed(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"good")
    path.with_name("b").write_bytes(b"evil")
    assert sha256(path) == hashlib.sha256(b"good").hexdigest()
    states = summed([path])
    require_unchanged(states)
    change(path)
    with pytest.raises(RetuneError, match="a: replaced or changed after"):
        require_unchanged(states)


def test_d42_a_file_that_changes_while_it_is_summed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"good")
    digest = plain_files.hashlib.file_digest

    def slow(*given: object) -> object:
        path.write_bytes(b"longer than before")
        return digest(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(plain_files.hashlib, "file_digest", slow)
    with pytest.raises(RetuneError, match="replaced or changed"):
        sha256(path)


@pytest.mark.parametrize("url", [pytest.param("http://[::1", id="D43 bracket left open")])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(RetuneError, match=r"http://\[::1 is not a URL \(.*\); correct it"):
        url_source(url, "0" * 64)
    with pytest.raises(ValueError, match="Invalid IPv6 URL"):
        File(url, "0" * 64)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def loop(path: Path) -> None:
    path.symlink_to(path)


STRANGE = [
    pytest.param(fifo, r"a pipe \(FIFO\), but a plain file is needed", id="R61 FIFO"),
    pytest.param(listener, "a socket, but a plain file is needed", id="R61 socket"),
    pytest.param(Path.mkdir, "a folder, but a plain file is needed", id="R61 folder"),
    pytest.param(
        lambda path: path.symlink_to("/dev/zero"), "a device, but a plain", id="R61 /dev/zero"
    ),
    pytest.param(loop, "symbolic links", id="R61 loop of links"),
]


@pytest.mark.parametrize(("make", "message"), STRANGE)
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "x.json"
    make(path)
    for read in (
        read_bytes,
        sha256,
        load_yaml,
        lambda path: read_records(path, "x.json"),
        lambda path: read_lines(path, ""),
        lambda path: local_source(path, None),
    ):
        with pytest.raises((RetuneError, OSError), match=message):
            read(path)
    (examined,) = diagnose([path], [], Options(False, False, False))
    assert not examined.readable
    assert "folder" in message or examined.findings[0].kind == "unreadable"


def test_r61_a_loop_of_links_or_a_nul_in_the_folder_of_ones_own_files(tmp_path: Path) -> None:
    loop(tmp_path / "loop")
    with pytest.raises(RetuneError, match=r"cannot be a path \(Too many levels"):
        file_inside(tmp_path, "loop/x", "files")
    with pytest.raises(RetuneError, match=r"cannot be a path \(embedded null"):
        file_inside(tmp_path, "a\0b", "files")
    with pytest.raises(RetuneError, match=r"cannot be a path \(embedded null"):
        read_bytes(tmp_path / "a\0b")


def test_r62_a_file_larger_than_is_read_or_of_no_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(101))
    with pytest.raises(RetuneError, match="a: 101 bytes; at most 100 are read"):
        read_bytes(tmp_path / "a", limit=100)
    if Path("/proc/self/maps").exists():
        with pytest.raises(RetuneError, match="its size changes while it is read"):
            read_bytes(Path("/proc/self/maps"))


def bomb(path: Path) -> Path:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_p41_yaml_aliases_that_stand_for_a_billion_values(tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=r"its aliases stand for [0-9,]{15,} values"):
        load_yaml(bomb(tmp_path / "a.yaml"))


def test_p41_long_texts_count_too_and_few_aliases_do_not(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 100)}]", encoding="utf-8")
    with pytest.raises(RetuneError, match="its aliases stand for 1,"):
        load_yaml(path)
    path.write_text("a: &a [1, 2]\nb: *a\nc: *a\n", encoding="utf-8")
    assert load_yaml(path) == {"a": [1, 2], "b": [1, 2], "c": [1, 2]}


@pytest.mark.parametrize(
    "text", [pytest.param(r"a\0b", id="P42 NUL"), pytest.param(r"\ud800", id="P42 half a pair")]
)
def test_a_text_that_can_be_no_path_or_name_is_refused_in_params(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f'b: 1\na: "{text}"\n', encoding="utf-8")
    with pytest.raises(RetuneError, match=r"a\.yaml: (line 2: a text with|.*surrog)"):
        load_yaml(path)


@pytest.mark.parametrize(
    "key", [pytest.param("1", id="P70 1"), pytest.param("true", id="P70 true")]
)
def test_a_key_that_is_no_text_is_told_to_be_quoted(tmp_path: Path, key: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"labels:\n  {key}: positive\n", encoding="utf-8")
    with pytest.raises(RetuneError, match=f'line 2: a key .* plain name; write "{key}" in quotes'):
        load_yaml(path)


def test_v44_closed_standard_streams_are_told_and_never_overwritten(tmp_path: Path) -> None:
    closing = f'exec "{sys.executable}" -m retune.tools.cli.main'

    def run(command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", f"{closing} {command}"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    assert run("ask <&-") == (
        1, "retune: error: no TEXT, and standard input is closed; give one of the two\n"
    )  # fmt: skip
    code, said = run("doctor --kinds >&-")
    assert code == 2
    assert said == "retune: error: standard output is closed; send it to a terminal or a file\n"
    code, said = run("doctor --kinds >/dev/full")
    assert code == 2
    assert "No space left" in said
    assert "Traceback" not in said
