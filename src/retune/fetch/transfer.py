"""Download a file over HTTP with limits on its size, its time and its redirects.

A server may never answer, send a byte at a time, never end, redirect in circles, or send another
part than requested. Each case gives a one-line error. Nothing is decompressed.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from retune.core.errors import RetuneError
from retune.core.terminal_text import escaped

if TYPE_CHECKING:
    import requests

MAX_BYTES = 4 * 2**30
MAX_SECONDS = 6 * 3600.0  # for a whole body
MAX_REDIRECTS = 5
CONNECT_SECONDS = 5.0  # for each address of a host
ANSWER_SECONDS = 10.0  # from looking up the host to the end of the answer's headers
READ_SECONDS = 30.0  # without a byte
SLOW_SECONDS = 60.0  # with fewer than SLOW_BYTES
SLOW_BYTES = 60_000

_CHUNK = 2**18
_REDIRECTS = {301, 302, 303, 307, 308}
_RANGE = re.compile(r"\s*bytes\s+([0-9]{1,19})-", re.IGNORECASE)
_T = TypeVar("_T")


def receive(url: str, partial: Path) -> str:
    """Download the missing bytes of a file to `partial`, without verifying them.

    Args:
        url: address of the file.
        partial: file with the bytes received so far, if any.

    Returns:
        The address that the bytes came from, after redirects, without its query.

    Raises:
        RetuneError: an HTTP error, a redirect that is not followed, an unreachable or slow server,
            a truncated or too large body, or a full disk. Except for the last two, the received
            bytes stay for the next run.
    """
    import requests
    import urllib3

    try:
        return _stream(url, partial)
    except ValueError as error:  # requests, urllib3 and urllib raise it for bad addresses
        raise RetuneError(
            f"{url}: cannot be fetched, or leads to an address that cannot "
            f"({type(error).__name__}); check the URL"
        ) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise RetuneError(
            f"{url}: the download failed or broke off ({type(error).__name__}); check the "
            "network and run again, which resumes it"
        ) from None
    except OSError as error:
        partial.unlink(missing_ok=True)  # free the space again
        raise RetuneError(
            f"{partial}: {error.strerror or error}; make room there, or set RETUNE_CACHE to "
            "another folder"
        ) from None


def parts_of(url: str) -> SplitResult:
    """Split an address.

    Raises:
        RetuneError: it is not a URL, such as `http://[::1` without its bracket.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise RetuneError(f"{url} is not a URL ({error}); correct it") from None


def _stream(url: str, partial: Path) -> str:
    import requests

    done = partial.stat().st_size if partial.exists() else 0
    with requests.Session() as session:
        # requests would read the bodies of redirects into memory and decompress them.
        session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
        response = _answer(session, url, done)
        if response.status_code == 206 and _first_byte(response) != done:
            response.close()
            done = 0
            response = _answer(session, url, done)
        with response:
            if not (done and response.status_code == 416):  # else all is there
                _require_body(url, response, done)
                _save(url, response, partial, done if response.status_code == 206 else 0)
            return _shown(str(response.url))


def _answer(session: "requests.Session", url: str, done: int) -> "requests.Response":
    """Request the bytes after the first `done`; return the answer, its body unread."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    timeouts = (CONNECT_SECONDS, READ_SECONDS)
    address = url
    for _ in range(MAX_REDIRECTS + 1):
        response = _within(ANSWER_SECONDS, _getter(session, address, headers, timeouts))
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or not location:
            return response
        response.close()
        address = _redirected(url, address, location)
    raise RetuneError(f"{url}: more than {MAX_REDIRECTS} redirects; check the URL")


def _getter(
    session: "requests.Session", address: str, headers: dict[str, str], timeouts: tuple[float, ...]
) -> Callable[[], "requests.Response"]:
    return lambda: session.get(address, headers=headers, timeout=timeouts, stream=True)  # type: ignore[arg-type]


def _within(seconds: float, action: Callable[[], _T]) -> _T:
    """Return what `action` returns; a socket's own timeout starts again with each byte."""
    import requests

    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        raise requests.Timeout from None


def _redirected(url: str, address: str, location: str) -> str:
    target = urljoin(address, location.encode("latin-1", "replace").decode("utf-8", "replace"))
    old, new = urlsplit(address).scheme.lower(), urlsplit(target).scheme.lower()
    if new not in {"http", "https"} or (old, new) == ("https", "http"):
        raise RetuneError(
            f"{url}: the server redirects to {_shown(target)}; only redirects to https are "
            "followed (from http to http, too): check the URL"
        )
    return target


def _require_body(url: str, response: "requests.Response", done: int) -> None:
    """Refuse an answer that does not hold the file's own bytes."""
    status = response.status_code
    if status != 200 and not (status == 206 and done):
        told = escaped(f"{status} {response.reason or ''}").strip()
        raise RetuneError(f"{url}: the server answered {told}; check the URL")
    encoding = response.headers.get("Content-Encoding", "identity").strip()
    if encoding.lower() not in {"", "identity"}:
        raise RetuneError(
            f"{url}: the server compresses the file ({escaped(encoding[:40])}) although "
            "asked not to; download it by hand and name the local file"
        )


def _save(url: str, response: "requests.Response", partial: Path, done: int) -> None:
    from tqdm import tqdm

    rest = response.raw.length_remaining
    total = None if rest is None else done + int(rest)
    name = escaped(unquote(Path(parts_of(url).path).name))[:80]
    try:
        _check_size(url, total or 0)
        bar = tqdm(total=total, initial=done, desc=name, unit="B", unit_scale=True, disable=None)
        with partial.open("ab" if done else "wb") as file, bar:
            for chunk in _chunks(response):
                file.write(chunk)
                done += len(chunk)
                bar.update(len(chunk))
                _check_size(url, done)
    except RetuneError:
        partial.unlink(missing_ok=True)
        raise


def _chunks(response: "requests.Response") -> Iterator[bytes]:
    # read1 returns the bytes that arrived, so that a slow server cannot delay the checks of time.
    # urllib3 raises when the body ends before Content-Length.
    import requests

    begun = since = time.monotonic()
    received = 0
    with _cut_off(response, MAX_SECONDS):
        while chunk := response.raw.read1(_CHUNK):
            yield chunk
            received += len(chunk)
            now = time.monotonic()
            if now - since > SLOW_SECONDS:
                if received < SLOW_BYTES:
                    raise requests.Timeout
                since, received = now, 0
            if now - begun > MAX_SECONDS:
                raise requests.Timeout
    if time.monotonic() - begun > MAX_SECONDS:
        raise requests.Timeout


@contextmanager
def _cut_off(response: "requests.Response", seconds: float) -> Iterator[None]:
    """End the connection after `seconds`, because a read of endless trailers never returns."""

    def shutdown() -> None:
        with suppress(ValueError, RuntimeError, OSError):  # closed by itself meanwhile
            response.raw.shutdown()

    timer = threading.Timer(seconds, shutdown)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _first_byte(response: "requests.Response") -> int | None:
    match = _RANGE.match(response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _check_size(url: str, size: int) -> None:
    if size > MAX_BYTES:
        raise RetuneError(f"{url}: larger than {MAX_BYTES:,} bytes, the most that is allowed")


def _shown(address: str) -> str:
    """Return an address without password and query, which may be secret, for messages."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return escaped(parts._replace(netloc=host, query="", fragment="").geturl()[:500])
