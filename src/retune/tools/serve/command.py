"""`retune serve`: load a model and answer requests until the server is stopped."""

import json
import math
import signal
import socket
from argparse import Namespace
from collections.abc import Collection, Sequence
from pathlib import Path

from retune.core.errors import RetuneError
from retune.inference.exported import needs_extra
from retune.inference.reader import Reader

try:
    import uvicorn

    from retune.tools.serve.application import Service, create_app
    from retune.tools.serve.limits import Limits
    from retune.tools.serve.schemas import ModelBody
except ImportError as error:
    raise needs_extra(error, "serve", "retune serve") from None

_MODEL = Path("data/qa/model")
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def run(arguments: Namespace) -> int:
    """Serve until SIGINT or SIGTERM; then answer what was asked, and return 0."""
    limits = _limits(arguments)
    with _bound(arguments.host, arguments.port) as listener:
        model = arguments.model or str(_MODEL)
        if arguments.model is None and not _MODEL.is_dir():
            raise RetuneError(
                f"{model}: no such folder; `dvc repro` trains the model, --model names another"
            )
        service = _service(model, arguments, limits)
        config = uvicorn.Config(
            create_app(service, _hosts(listener, arguments.allowed_host)),
            log_level="error",
            access_log=False,  # texts may be private
            server_header=False,
            timeout_graceful_shutdown=round(limits.seconds) + 1,
        )
        server = uvicorn.Server(config)

        def stop(*_: object) -> None:
            server.should_exit = True

        # Before the server has handlers of its own, and when it has stopped: it then repeats the
        # signal that stopped it.
        for signal_ in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_, stop)
        try:
            _listen(listener, arguments)
            _print_address(listener, service.model, as_json=arguments.json)
            server.run(sockets=[listener])
        finally:
            service.batches.close()
    return 0


def _service(model: str, arguments: Namespace, limits: Limits) -> Service:
    reader = Reader(
        model,
        revision=arguments.revision,
        params=arguments.params,
        min_confidence=arguments.min_confidence,
    )
    trust = reader.model.trust
    body = ModelBody(
        name=model,
        variant=reader.model.variant,
        squad_v2=reader.model.squad_v2,
        calibrated=trust.calibration is not None,
        min_confidence=trust.min_confidence,
        n_best=reader.model.settings.postprocess.n_best,
    )
    return Service(reader, body, limits)


def _limits(arguments: Namespace) -> Limits:
    for name, value, least in (
        ("--max-bytes", arguments.max_bytes, 1),
        ("--max-seconds", arguments.max_seconds, 0.001),
        ("--max-requests", arguments.max_requests, 1),
        ("--max-windows", arguments.max_windows, 1),
    ):
        if not least <= value < math.inf:
            raise RetuneError(f"{name} is {value:g}; give a number, {least:g} or more")
    return Limits(
        bytes=arguments.max_bytes,
        seconds=arguments.max_seconds,
        requests=arguments.max_requests,
        windows=arguments.max_windows,
    )


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket at an address, before the model is loaded, which takes seconds."""
    if not 0 <= port <= 65535:
        raise RetuneError(f"--port is {port}; give a number from 0 (any free one) to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio only knows by the protocol that it must not wait for more to send: 40 ms a reply.
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _unusable(host, port, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from None
    return listener


def _listen(listener: socket.socket, arguments: Namespace) -> None:
    """Take connections, which wait until the server runs."""
    try:
        listener.listen()
    except OSError as error:  # another one was faster
        raise _unusable(arguments.host, arguments.port, error) from None


def _unusable(host: str, port: int, error: Exception) -> RetuneError:
    why = getattr(error, "strerror", None) or error
    return RetuneError(
        f"--host {host} --port {port}: {why}; choose another address, or --port 0 for any free one"
    )


def _hosts(listener: socket.socket, given: Sequence[str]) -> Collection[str] | None:
    """Return the names by which the server may be reached; None is any."""
    if given:
        return {name.lower() for name in (*_LOCAL, *given)}
    return _LOCAL if _is_loopback(listener) else None


def _is_loopback(listener: socket.socket) -> bool:
    address: str = listener.getsockname()[0]
    return address == "::1" or address.startswith("127.")


def _print_address(listener: socket.socket, model: ModelBody, *, as_json: bool) -> None:
    host, port, *_ = listener.getsockname()
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if as_json:
        print(json.dumps({"url": url, "model": model.model_dump()}), flush=True)
    else:
        print(f"{model.name} answers at {url}; stop it with Ctrl-C", flush=True)
