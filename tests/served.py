"""Run a server of the project on a thread, at a free port."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from retune.inference.reader import Reader
from retune.tools.serve.application import Service, create_app
from retune.tools.serve.limits import Limits
from retune.tools.serve.schemas import ModelBody

HOSTS = ["127.0.0.1", "localhost"]


def service_of(reader: Reader, limits: Limits = Limits()) -> Service:  # noqa: B008
    body = ModelBody(
        name="model", variant=None, squad_v2=False, calibrated=False, min_confidence=None, n_best=20
    )
    return Service(reader, body, limits)


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Yield the URL of an application, until the block ends."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # so that nobody is refused before the server reads
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served(reader: Reader, limits: Limits = Limits()) -> Iterator[tuple[str, Service]]:  # noqa: B008
    """Yield the URL of a server that answers by `reader`, and its service."""
    service = service_of(reader, limits)
    with serving(create_app(service, HOSTS)) as url:
        yield url, service


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
