"""Write files whole or not at all, with the same bytes for the same content."""

import csv
import heapq
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from retune.core.errors import RetuneError
from retune.core.plain_files import opened, read_bytes
from retune.core.plain_files import sha256 as sha256  # noqa: PLC0414 (others import it from here)

if TYPE_CHECKING:
    from filelock import BaseFileLock

_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_RUN = 10_000  # items sorted at a time
_LINE = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


def cache_folder() -> Path:
    """Return the folder for downloads: RETUNE_CACHE, or `.cache/retune` in the home folder."""
    return Path(os.environ.get("RETUNE_CACHE") or Path.home() / ".cache" / "retune")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`, which is renamed to `path` if the block succeeds.

    Works for a file and for a folder. All users may read the result, whatever the umask is. After
    an exception, the temporary is deleted and `path` is unchanged.
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
        if error.filename is None:  # as after a write to a full disk
            error.filename = str(path)
        raise
    finally:
        remove(temporary)


def _open_to_readers(path: Path) -> None:
    # safetensors writes weights that nobody else may read; a umask may hide the other files.
    for file in (path, *path.rglob("*")):
        if not file.is_symlink():
            file.chmod(0o755 if file.is_dir() else 0o644)


def flush(path: Path) -> None:
    """Flush a file or a folder to disk, so that a power cut after a rename cannot damage it."""
    for part in [path, *path.rglob("*")]:
        flush_entry(part)


def flush_entry(path: Path) -> None:
    """Flush the content of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the lock ends with the process, even if that is killed.

    Raises:
        RetuneError: another process holds the lock; the message names the process.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        _acquire(lock, path)
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        if lock.is_locked:
            path.unlink(missing_ok=True)
            lock.release(force=True)


def _acquire(lock: "BaseFileLock", path: Path) -> None:
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = ""
        with suppress(FileNotFoundError):  # released in the meantime
            holder = path.read_text(encoding="utf-8")
        raise RetuneError(
            f"{path}: {holder or 'another process'} is writing there; wait until it has ended, or "
            "stop it"
        ) from None
    except KeyboardInterrupt:
        # It may have come when the file was made and not yet locked. Who has the lock removes it.
        with suppress(Timeout):
            lock.acquire(blocking=False)
        raise


def require_writable(folder: Path) -> None:
    """Refuse a folder in which nothing can be written, before any work starts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RetuneError(f"{folder}: cannot write there: {error.strerror}") from None


def remove(path: Path) -> None:
    """Delete a file or a folder tree, if it exists."""
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
    """Yield a function that writes an object as a line; the file appears if the block succeeds."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:

        def write(row: dict[str, Any]) -> None:
            file.write(orjson.dumps(row, option=_LINE))

        yield write


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object per line and return their number."""
    count = 0
    with json_lines_writer(path) as write:
        for count, row in enumerate(rows, 1):  # noqa: B007
            write(row)
    return count


def write_json_texts(path: Path, texts: Iterable[tuple[str, str]]) -> None:
    """Write what `write_json` writes for a mapping of keys to texts, in constant memory.

    Sorts runs of items into temporary files and merges these. Keys must be unique.
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
    """Write items to a temporary file and return an iterator that reads them."""
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
