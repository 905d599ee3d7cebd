"""Files that are either whole or absent, with the same bytes for the same content."""

import csv
import fcntl
import heapq
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson

from retune.core.errors import RetuneError
from retune.core.plain_files import opened, read_bytes
from retune.core.plain_files import sha256 as sha256  # noqa: PLC0414 (others import it from here)

_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_RUN = 10_000  # items that are sorted at a time
_LINE = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


def cache_folder() -> Path:
    """Where downloads are kept: RETUNE_CACHE, or `.cache/retune` in the home folder."""
    return Path(os.environ.get("RETUNE_CACHE") or Path.home() / ".cache" / "retune")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of `path`, renamed to `path` when the block ends well.

    Works for a file and for a folder; whatever the umask, all may read what comes of it.
    After an exception the temporary is gone and whatever stood at `path` before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (path.with_name(f".{path.name}.{kind}") for kind in ("partial", "old"))
    remove(temporary)
    try:
        yield temporary
        _open_to_readers(temporary)
        flush(temporary)
        if path.is_dir():  # a folder cannot be renamed over another
            remove(old)
            os.replace(path, old)
        os.replace(temporary, path)
        flush_entry(path.parent)
        remove(old)
    except OSError as error:
        if error.filename is None:  # as of a write to a full disk
            error.filename = str(path)
        raise
    finally:
        remove(temporary)


def _open_to_readers(path: Path) -> None:
    # safetensors writes weights that nobody else may read; a umask may do so with the rest.
    for file in (path, *path.rglob("*")):
        if not file.is_symlink():
            file.chmod(0o755 if file.is_dir() else 0o644)


def flush(path: Path) -> None:
    """Have a file, or all of a folder, on the disk: a power cut after a rename must not tear it."""
    for part in [path, *path.rglob("*")]:
        flush_entry(part)


def flush_entry(path: Path) -> None:
    """Have the content of a file on the disk, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; it ends with the process, however that ends.

    Raises:
        RetuneError: another process holds it; the message names that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        _take(path, file)
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield
        finally:
            path.unlink(missing_ok=True)


def _take(path: Path, file: IO[str]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before may have removed the file after it was opened here.
        taken = os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except (BlockingIOError, FileNotFoundError):
        taken = False
    if not taken:
        file.seek(0)
        raise RetuneError(
            f"{path}: {file.read() or 'another process'} is writing there; wait until it has "
            "ended, or stop it"
        )


def require_writable(folder: Path) -> None:
    """Refuse a folder in which nothing can be written, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RetuneError(f"{folder}: cannot write there: {error.strerror}") from None


def remove(path: Path) -> None:
    """Delete a file or a folder tree; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys; NaN and infinity are refused."""
    _refuse_non_finite(value, path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(orjson.dumps(value, option=_PRETTY))


@contextmanager
def json_lines_writer(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give a function that writes an object as a line; the file appears when all ends well."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:

        def write(row: dict[str, Any]) -> None:
            file.write(orjson.dumps(row, option=_LINE))

        yield write


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object a line and return how many there were."""
    count = 0
    with json_lines_writer(path) as write:
        for count, row in enumerate(rows, 1):  # noqa: B007
            write(row)
    return count


def write_json_texts(path: Path, texts: Iterable[tuple[str, str]]) -> None:
    """Write what `write_json` would for a mapping of keys to texts, in constant memory.

    Sorted runs of items go to temporary files, which are merged. A key may come once only.
    """
    texts = iter(texts)
    with atomic_path(path) as temporary, temporary.open("wb") as file, ExitStack() as runs:
        parts = iter(lambda: sorted(islice(texts, _RUN)), [])
        sources = [_kept(part, runs) for part in parts]
        between = b"{\n  "
        for key, text in heapq.merge(*sources):
            file.write(between + orjson.dumps(key) + b": " + orjson.dumps(text))
            between = b",\n  "
        file.write(b"\n}\n" if sources else b"{}\n")


def _kept(items: list[tuple[str, str]], files: ExitStack) -> Iterator[tuple[str, str]]:
    """Write items to a temporary file, and give an iterator that reads them from it."""
    file = files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    file.writelines(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items)
    file.seek(0)
    return map(tuple, map(orjson.loads, file))


def write_csv(path: Path, heading: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table, with Unix line ends."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([heading, *rows])


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote."""
    try:
        return orjson.loads(read_bytes(path))
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run the stage that writes it") from None
    except orjson.JSONDecodeError as error:
        raise RetuneError(f"{path}: not valid JSON ({error}); run `dvc repro` again") from None


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON lines file that an earlier stage wrote."""
    try:
        file = opened(path)
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; run the stage that writes it") from None
    with file:
        for number, line in enumerate(file, 1):
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise RetuneError(f"{path}:{number}: not valid JSON ({error})") from None


def _refuse_non_finite(value: Any, path: Path, where: str = "") -> None:
    # orjson would write NaN as null: a broken number would look like a missing one.
    if isinstance(value, float) and value - value != 0.0:
        raise RetuneError(f"{path}: {where.lstrip('.')} is {value}; refusing to write it")
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, item in items:
        _refuse_non_finite(item, path, f"{where}.{key}")
