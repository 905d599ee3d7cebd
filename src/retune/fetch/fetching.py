"""Files from elsewhere: nothing is used before its SHA-256 is the expected one."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from retune.core.errors import RetuneError
from retune.core.files import cache_folder
from retune.core.plain_files import sha256 as sha256_of
from retune.core.terminal_text import escaped, say
from retune.fetch.transfer import MAX_SECONDS, parts_of, receive

#: What to know where a path of the params leads nowhere.
PATHS = "paths start from the project's top folder"

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """A verified local file of a data set.

    `name` is what messages and outputs call it, never a path; `questions` is how many
    it must hold, where that is known.
    """

    path: Path
    name: str
    sha256: str
    questions: int | None = None


def local_source(path: Path, sha256: str | None, remedy: str = PATHS) -> Source:
    """A file on this machine; its SHA-256 is compared where one is given.

    `remedy` is for a path where no file is.
    """
    try:
        actual = sha256_of(path)
    except FileNotFoundError:
        raise RetuneError(f"{path}: no such file; {remedy}") from None
    if sha256 not in (None, actual):
        raise RetuneError(_wrong_sum(str(path), sha256, actual))
    return Source(path, path.name, actual)


def url_source(url: str, sha256: str) -> Source:
    """A file of the web, kept in the user's cache under its SHA-256."""
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
    """A file of a data set on the Hugging Face hub, from its cache or from the network.

    Args:
        repository: such as `rajpurkar/squad`.
        file: the path inside the repository.
        revision: a commit of 40 hexadecimal digits; branches move, so they are refused.
        sha256: the sum that the file must have.
        questions: how many it must hold, where known.
        task: whose `dataset` it is in the params, for messages.

    Raises:
        RetuneError: for a branch name, a wrong sum, or where the file is neither in the
            cache nor within reach; the message says how to work offline.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    if not _COMMIT.fullmatch(revision):
        raise RetuneError(
            f"{repository}: revision {revision!r} is not a commit of 40 hexadecimal digits; "
            "a branch or tag can move, so pin a commit"
        )
    cached = huggingface_hub.try_to_load_from_cache(
        repository, file, revision=revision, repo_type="dataset"
    )
    if isinstance(cached, str):
        path = Path(cached)
        if (actual := sha256_of(path)) != sha256:
            raise RetuneError(_wrong_sum(f"{file} in the Hugging Face cache", sha256, actual))
        return Source(path, Path(file).name, sha256, questions)
    url = huggingface_hub.hf_hub_url(repository, file, repo_type="dataset", revision=revision)
    target = cache_folder() / sha256
    login = build_hf_headers().get("authorization")
    try:
        if constants.HF_HUB_OFFLINE and not target.exists():
            raise RetuneError(f"{repository}: {file} is not in the cache and HF_HUB_OFFLINE is set")
        return Source(fetch(url, sha256, target, login), Path(file).name, sha256, questions)
    except RetuneError as error:
        private = "" if login else "If the repository is private or gated, set HF_TOKEN. "
        raise RetuneError(
            f"{error}\n{private}To work offline, fill the cache on a machine with a network by "
            f"`hf download --repo-type dataset --revision {revision} {repository} {file}`, "
            f"or set `{task}.dataset: files` and name your own copy under `{task}.datasets.files`"
        ) from None


def fetch(url: str, sha256: str, target: Path, authorization: str | None = None) -> Path:
    """Download `url` to `target`, which never exists with other content than `sha256`.

    An interrupted download goes on where it stopped. Where `target` is there already,
    its sum is checked and the network left alone. A second process waits for the first.
    A file with another sum is kept beside `target` as `.bad`, to be looked at. The header
    `authorization` is for the host of `url` alone.

    Raises:
        RetuneError: for a wrong sum, a folder that cannot be written, and all that
            `retune.fetch.transfer.receive` raises.
    """
    if not target.exists():
        with _alone(target):
            if not target.exists():
                _download(url, sha256, target, authorization)
                return target
    if (actual := sha256_of(target)) != sha256:
        raise RetuneError(_wrong_sum(str(target), sha256, actual) + ", or rename it")
    return target


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other downloads of `target` waiting, once the folder has proved to be writable."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        _tell(f"another process downloads {target}; waiting for it")
        lock.acquire(timeout=MAX_SECONDS)
    except OSError as error:
        raise RetuneError(
            f"{target.parent}: downloads cannot be kept here ({error.strerror or error}); set "
            "RETUNE_CACHE to a folder that can be written"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _download(url: str, sha256: str, target: Path, authorization: str | None) -> None:
    partial, bad = (target.with_name(f"{target.name}.{kind}") for kind in ("partial", "bad"))
    address = receive(url, partial, authorization)
    if parts_of(address).netloc != parts_of(url).netloc.rpartition("@")[2]:
        _tell(f"{url} came from {address}")
    actual = sha256_of(partial)
    if actual != sha256:
        os.replace(partial, bad)
        page = "; the server sent a web page" if _is_page(bad) else ""
        raise RetuneError(f"{_wrong_sum(url, sha256, actual)}{page}; what came is kept as {bad}")
    os.replace(partial, target)
    bad.unlink(missing_ok=True)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(200).lstrip().lower().startswith((b"<!doctype", b"<html"))


def _tell(line: str) -> None:
    say(line, sys.stderr)


def _wrong_sum(name: str, expected: str | None, actual: str) -> str:
    return (
        f"{name}: SHA-256 is {actual}, expected {expected}; the file is damaged or another "
        "one: get it anew or mend the sum in params.yaml"
    )
