"""Limits of the server, and the refusals that they cause."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

#: Bytes over the limit that are read and dropped, so that a client gets to read why.
_DROPPED = 16 * 2**20


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        bytes: of a body.
        seconds: from the head of a request to its answer.
        requests: that are read or wait for an answer at the same time.
        windows: of a context.
    """

    bytes: int = 2**20
    seconds: float = 60.0
    requests: int = 64
    windows: int = 2048


class Admission:
    """Counts the requests that are in progress.

    Args:
        most: requests at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.in_progress = 0

    def __enter__(self) -> None:
        """Admit a request.

        Raises:
            HTTPException: 429, there are too many.
        """
        if self.in_progress >= self._most:
            raise refusal(
                429, f"{self._most} requests wait already; repeat it later", retry_after=1
            )
        self.in_progress += 1

    def __exit__(self, *_: object) -> None:
        """Let the next one in."""
        self.in_progress -= 1


async def read_limited(request: Request, most: int) -> bytes:
    """Return the body of a request.

    Raises:
        HTTPException: 413, it has more than `most` bytes.
    """
    chunks, size = list[bytes](), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            chunks.append(chunk)
        elif size > most + _DROPPED:
            break
    if size > most:
        why = f"the body has more than {most:,} bytes; shorten the context"
        raise refusal(413, why, close=True)
    return b"".join(chunks)


def refusal(
    status: int, why: str, *, retry_after: int | None = None, close: bool = False
) -> HTTPException:
    """Return the refusal of a request, to be raised.

    Args:
        status: of HTTP.
        why: a sentence for the client.
        retry_after: seconds after which the client may repeat the request.
        close: whether to close the connection, because the body was not read to its end.
    """
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if close:
        headers["Connection"] = "close"
    return HTTPException(status, why, headers)
