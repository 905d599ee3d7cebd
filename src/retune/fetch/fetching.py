"""Files from a folder, a URL or the hub; each is used only after its SHA-256 is verified."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from retune.core.errors import RetuneError, excerpt
from retune.core.files import cache_folder
from retune.core.plain_files import sha256 as sha256_of
from retune.core.terminal_text import escaped, say
from retune.fetch.transfer import MAX_SECONDS, parts_of, receive

#: Advice for a path in the params where there is no file.
PATHS = "paths start from the project's top folder"

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """A verified local file of a data set.

    Messages and outputs call it `name`, which is never a path. `questions` is the number of
    questions that it must hold, if known.
    """

    path: Path
    name: str
    sha256: str
    questions: int | None = None


def local_source(path: Path, sha256: str | None, remedy: str = PATHS) -> Source:
    """Return a file on this machine; its SHA-256 is compared if one is given.

    `remedy` is the advice if there is no file.
    """
    try:
        actual = sha256_of(path)
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; {remedy}") from None
    if sha256 not in (None, actual):
        raise RetuneError(_wrong_sum(str(path), sha256, actual))
    return Source(path, path.name, actual)


def url_source(url: str, sha256: str) -> Source:
    """Return a file from the web; the user's cache keeps it under its SHA-256."""
    name = escaped(unquote(Path(parts_of(url).path).name)) or "download"
    return Source(fetch(url, sha256, cache_folder() / sha256), name, sha256)


def hub_source(
    repository: str,
    file: str,
    revision: str,
    sha256: str,
    questions: int | None = None,
    task: str = "qa",
) -> Source:
    """Return a file of a data set on the Hugging Face hub, from a cache or from the network.

    `huggingface_hub` downloads it, so HF_TOKEN, HF_ENDPOINT and proxies apply.

    Args:
        repository: such as `rajpurkar/squad`.
        file: the path inside the repository.
        revision: a commit of 40 hexadecimal digits; branches move, so they are refused.
        sha256: the sum that the file must have.
        questions: the number that it must hold, if known.
        task: the section of the params with this `dataset`, for messages.

    Raises:
        RetuneError: the revision is not a commit, the sum is wrong, or the file is neither in a
            cache nor downloadable; the message explains how to work offline.
    """
    if not _COMMIT.fullmatch(revision):
        raise RetuneError(
            f"{repository}: revision {revision!r} is not a commit of 40 hexadecimal digits; "
            "a branch or tag can move, so pin a commit"
        )
    path = cache_folder() / sha256
    if not path.exists():
        try:
            path = _from_hub(repository, file, revision)
        except RetuneError as error:
            raise RetuneError(
                f"{error}\nTo work offline, fill the cache on a machine with a network by "
                f"`hf download --repo-type dataset --revision {revision} {repository} {file}`, "
                f"or set `{task}.dataset: files` and name your own copy under "
                f"`{task}.datasets.files`"
            ) from None
    if (actual := sha256_of(path)) != sha256:
        raise RetuneError(_wrong_sum(f"{path}: {file} in the Hugging Face cache", sha256, actual))
    return Source(path, Path(file).name, sha256, questions)


def _from_hub(repository: str, file: str, revision: str) -> Path:
    """Return a data set's file in the hub's cache; download it first if it is not there."""
    import huggingface_hub as hub
    from huggingface_hub.errors import RepositoryNotFoundError

    place: dict[str, Any] = {"repo_type": "dataset", "revision": revision}
    cached = hub.try_to_load_from_cache(repository, file, **place)
    if isinstance(cached, str):
        return Path(cached)
    if hub.constants.HF_HUB_OFFLINE:
        raise RetuneError(f"{repository}: {file} is not in the cache and HF_HUB_OFFLINE is set")
    try:
        # Ask once first, because the download repeats its request for half a minute.
        hub.get_hf_file_metadata(hub.hf_hub_url(repository, file, **place), timeout=8)
        return Path(hub.hf_hub_download(repository, file, **place))
    except RepositoryNotFoundError:
        raise RetuneError(
            f"{repository}: the hub shows no such data set to you; check the name, or set "
            "HF_TOKEN if it is private or gated"
        ) from None
    except Exception as error:  # whatever a server or a proxy may answer
        raise RetuneError(
            f"{repository}: {file} cannot be downloaded ({type(error).__name__}: "
            f"{excerpt(str(error), 200)}); check the network, HF_ENDPOINT and the proxy"
        ) from None


def fetch(url: str, sha256: str, target: Path) -> Path:
    """Download `url` to `target`, which never exists with other content than `sha256`.

    An interrupted download resumes. If `target` exists, only its sum is checked. A second process
    waits for the first. A file with another sum is kept next to `target` as `.bad` for inspection.

    Raises:
        RetuneError: the sum is wrong, the folder cannot be written, or
            `retune.fetch.transfer.receive` raises it.
    """
    if not target.exists():
        with _alone(target):
            if not target.exists():
                _download(url, sha256, target)
                return target
    if (actual := sha256_of(target)) != sha256:
        raise RetuneError(_wrong_sum(str(target), sha256, actual))
    return target


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Let other downloads of `target` wait; refuse a folder that cannot be written."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        _tell(f"another process is downloading {target}; waiting for it")
        lock.acquire(timeout=MAX_SECONDS)
    except OSError as error:
        raise RetuneError(
            f"{target.parent}: downloads cannot be stored here ({error.strerror or error}); set "
            "RETUNE_CACHE to a folder that can be written"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _download(url: str, sha256: str, target: Path) -> None:
    partial, bad = (target.with_name(f"{target.name}.{kind}") for kind in ("partial", "bad"))
    address = receive(url, partial)
    if parts_of(address).netloc != parts_of(url).netloc.rpartition("@")[2]:
        _tell(f"{url} came from {address}")
    actual = sha256_of(partial)
    if actual != sha256:
        os.replace(partial, bad)
        page = "; the server sent a web page" if _is_page(bad) else ""
        raise RetuneError(
            f"{_wrong_sum(url, sha256, actual)}{page}; the received file is kept as {bad}"
        )
    os.replace(partial, target)
    bad.unlink(missing_ok=True)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(200).lstrip().lower().startswith((b"<!doctype", b"<html"))


def _tell(line: str) -> None:
    say(line, sys.stderr)


def _wrong_sum(name: str, expected: str | None, actual: str) -> str:
    return (
        f"{name}: SHA-256 is {actual}, expected {expected}; the file is damaged or a different "
        "one: delete it and download it again, or correct the sum in params.yaml"
    )
