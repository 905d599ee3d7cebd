"""Files from elsewhere: nothing is used before its SHA-256 is the expected one."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from retune.errors import RetuneError
from retune.storage import sha256 as sha256_of

if TYPE_CHECKING:
    import requests

MAX_BYTES = 4 * 2**30
MAX_SECONDS = 6 * 3600.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
MAX_REDIRECTS = 5

_CHUNK = 2**18
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


def local_source(path: Path, sha256: str | None) -> Source:
    """A file on this machine; its SHA-256 is compared where one is given."""
    if not path.is_file():
        raise RetuneError(f"{path}: no such file; paths start from the project's top folder")
    actual = sha256_of(path)
    if sha256 not in (None, actual):
        raise RetuneError(_wrong_sum(str(path), sha256, actual))
    return Source(path, path.name, actual)


def url_source(url: str, sha256: str) -> Source:
    """A file of the web, kept in the user's cache under its SHA-256."""
    name = unquote(Path(urlsplit(url).path).name) or "download"
    return Source(fetch(url, sha256, cache_folder() / sha256), name, sha256)


def hub_source(
    repository: str, file: str, revision: str, sha256: str, questions: int | None = None
) -> Source:
    """A file of a data set on the Hugging Face hub, from its cache or from the network.

    Args:
        repository: such as `rajpurkar/squad`.
        file: the path inside the repository.
        revision: a commit of 40 hexadecimal digits; branches move, so they are refused.
        sha256: the sum that the file must have.
        questions: how many it must hold, where known.

    Raises:
        RetuneError: for a branch name, a wrong sum, or where the file is neither in the
            cache nor within reach; the message says how to work offline.
    """
    import huggingface_hub
    from huggingface_hub import constants

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
    try:
        if constants.HF_HUB_OFFLINE and not target.exists():
            raise RetuneError(f"{repository}: {file} is not in the cache and HF_HUB_OFFLINE is set")
        return Source(fetch(url, sha256, target), Path(file).name, sha256, questions)
    except RetuneError as error:
        raise RetuneError(
            f"{error}\nTo work offline, fill the cache on a machine with a network by "
            f"`hf download --repo-type dataset --revision {revision} {repository} {file}`, "
            "or set `qa.dataset: files` and name your own copy under `qa.datasets.files`"
        ) from None


def cache_folder() -> Path:
    """Where downloads are kept: RETUNE_CACHE, or `.cache/retune` in the home folder."""
    return Path(os.environ.get("RETUNE_CACHE") or Path.home() / ".cache" / "retune")


def fetch(url: str, sha256: str, target: Path) -> Path:
    """Download `url` to `target`, which never exists with other content than `sha256`.

    An interrupted download goes on where it stopped. Where `target` is there already,
    its sum is checked and the network left alone. A second process waits for the first.

    Raises:
        RetuneError: for a wrong sum, a body cut short, an HTTP error, too many
            redirects, a server out of reach or too slow, or too large a file.
    """
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            partial = target.with_name(f"{target.name}.partial")
            _receive(url, partial)
            _verify(partial, url, sha256)
            os.replace(partial, target)
        elif (actual := sha256_of(target)) != sha256:
            raise RetuneError(_wrong_sum(str(target), sha256, actual) + ", or delete it")
    return target


def _verify(partial: Path, url: str, sha256: str) -> None:
    actual = sha256_of(partial)
    if actual == sha256:
        return
    with partial.open("rb") as file:
        is_page = file.read(200).lstrip().lower().startswith((b"<!doctype", b"<html"))
    partial.unlink()
    page = "; the server sent a web page" if is_page else ""
    raise RetuneError(_wrong_sum(url, sha256, actual) + page)


def _receive(url: str, partial: Path) -> None:
    import requests
    import urllib3

    try:
        _stream(url, partial)
    except requests.TooManyRedirects:
        raise RetuneError(f"{url}: more than {MAX_REDIRECTS} redirects; check the URL") from None
    except requests.HTTPError as error:
        status = f"{error.response.status_code} {error.response.reason}"
        raise RetuneError(f"{url}: the server answered {status}; check the URL") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        reason = type(error).__name__
        raise RetuneError(
            f"{url}: the download failed or broke off ({reason}); check the network and run "
            "again, which goes on where it stopped"
        ) from None
    except (OSError, RetuneError):
        partial.unlink(missing_ok=True)  # a full disk is not to stay full
        raise


def _stream(url: str, partial: Path) -> None:
    import requests
    from tqdm import tqdm

    done = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.Session() as session, contextlib.ExitStack() as stack:
        session.max_redirects = MAX_REDIRECTS
        timeouts = (CONNECT_SECONDS, READ_SECONDS)
        response = stack.enter_context(
            session.get(url, headers=headers, timeout=timeouts, stream=True)
        )
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all bytes are there; the sum decides
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        _check_size(url, total or 0)
        file = stack.enter_context(partial.open("ab" if done else "wb"))
        name = unquote(Path(urlsplit(url).path).name)
        bar = stack.enter_context(
            tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None)
        )
        for chunk in _chunks(response):
            file.write(chunk)
            done += len(chunk)
            bar.update(len(chunk))
            _check_size(url, done)


def _chunks(response: "requests.Response") -> Iterator[bytes]:
    # read1 gives what has come, so that a server that drips cannot hold up the clock;
    # urllib3 raises when the body ends before Content-Length.
    import requests

    end = time.monotonic() + MAX_SECONDS
    while chunk := response.raw.read1(_CHUNK):
        yield chunk
        if time.monotonic() > end:
            raise requests.Timeout


def _check_size(url: str, size: int) -> None:
    if size > MAX_BYTES:
        raise RetuneError(f"{url}: larger than {MAX_BYTES:,} bytes, the most that is allowed")


def _wrong_sum(name: str, expected: str | None, actual: str) -> str:
    return (
        f"{name}: SHA-256 is {actual}, expected {expected}; the file is damaged or another "
        "one: get it anew or mend the sum in params.yaml"
    )
