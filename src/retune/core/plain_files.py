"""Open plain files without blocking; pipes, devices and folders are refused.

A file can be replaced after its sum is taken and before it is read. `read_bytes` checks the sum of
the bytes that it returns. If a library opens the file itself, `summed` and `require_unchanged`
show whether it is still the same file.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from io import BufferedReader
from pathlib import Path

from retune.core.errors import RetuneError, excerpt

#: Device, inode, size, and the times of the last change of content and of inode in nanoseconds.
State = tuple[int, int, int, int, int]

_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
_LARGEST = 4 * 2**30
_summed: dict[str, State] = {}


def opened(path: Path) -> BufferedReader:
    """Open a plain file for reading in binary.

    Raises:
        RetuneError: the path is not a plain file, or has a character that no path has.
        OSError: no such file, no permission, or a loop of links.
    """
    try:
        _require_plain(os.stat(path), path)  # first, because opening a device may have effects
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise RetuneError(f"{excerpt(str(path))} cannot be a path ({error}); correct it") from None
    file = os.fdopen(descriptor, "rb")
    try:
        _require_plain(os.fstat(descriptor), path)
    except RetuneError:
        file.close()
        raise
    return file


def read_bytes(path: Path, sha256: str | None = None, limit: int = _LARGEST) -> bytes:
    """Return the content of a plain file of at most `limit` bytes.

    Args:
        path: the file.
        sha256: the sum that the returned bytes must have, if it is known.
        limit: in bytes.

    Raises:
        RetuneError: the file is not plain, too large, or has another sum.
        OSError: as `opened`.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise RetuneError(f"{path}: {size:,} bytes; at most {limit:,} are read")
        data = file.read(size + 1)
    if len(data) != size:
        raise RetuneError(
            f"{path}: its size changes while it is read; try again when nothing writes to it"
        )
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise RetuneError(_changed(path))
    return data


def sha256(path: Path) -> str:
    """Return the SHA-256 of a plain file in hexadecimal, and remember the state of the file.

    Raises:
        RetuneError: the file is not plain, or changes while it is read.
        OSError: as `opened`.
    """
    with opened(path) as file:
        before = _state(os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _state(os.fstat(file.fileno())) != before:
            raise RetuneError(_changed(path))
    _summed[os.path.abspath(path)] = before
    return digest


def summed(paths: Iterable[Path]) -> dict[Path, State]:
    """Return the state of each path when `sha256` last read it; skip paths that it did not read."""
    states = {path: _summed.get(os.path.abspath(path)) for path in paths}
    return {path: state for path, state in states.items() if state is not None}


def require_unchanged(states: Mapping[Path, State]) -> None:
    """Check that files have not changed since they were summed.

    Raises:
        RetuneError: a file was replaced, changed or removed.
    """
    for path, state in states.items():
        try:
            same = _state(os.stat(path)) == state
        except OSError:
            same = False
        if not same:
            raise RetuneError(_changed(path))


def require_plain_or_folders(folder: Path) -> None:
    """Check that a folder holds nothing that could block a library, such as a pipe.

    Raises:
        RetuneError: an entry is neither a plain file nor a folder.
    """
    for path in sorted(folder.iterdir()):
        if path.exists() and not path.is_dir():
            _require_plain(path.stat(), path)


def home_expanded(path: Path) -> Path:
    """Return the path with `~` replaced by the home folder.

    Raises:
        RetuneError: there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise RetuneError(f"{excerpt(str(path))} cannot be a path ({error}); correct it") from None


def resolved(path: Path) -> Path:
    """Return the absolute path, with all links resolved.

    Raises:
        RetuneError: there is a loop of links, or a character that no path has.
    """
    try:
        return path.resolve()
    except (ValueError, RuntimeError, OSError) as error:
        reason = os.strerror(errno.ELOOP) if "loop" in str(error).lower() else str(error)
        raise RetuneError(f"{excerpt(str(path))} cannot be a path ({reason}); correct it") from None


def _require_plain(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise RetuneError(
            f"{path}: {kind}, but a plain file is needed; name a file, or save the content in one"
        )


def _state(found: os.stat_result) -> State:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _changed(path: Path) -> str:
    return (
        f"{path}: replaced or changed after its SHA-256 was compared, so it is not used; "
        "find out what writes there, and run again"
    )
