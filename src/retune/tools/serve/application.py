"""The web application: its addresses, and what it replies to each request."""

import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import retune
from retune.core.errors import RetuneError
from retune.inference.contexts import TooManyWindowsError
from retune.inference.reader import Answer, Reader
from retune.tools.serve.limits import Admission, Limits, read_limited, refusal
from retune.tools.serve.monitoring import Monitor
from retune.tools.serve.openapi import description
from retune.tools.serve.schemas import Asked, Health, ModelBody, read_body
from retune.tools.serve.shared_batches import (
    CancelledRequestError,
    PredictionError,
    SharedBatches,
)
from retune.tools.serve.shared_batches import Request as SharedRequest

_FOLDER = Path(__file__).parent
#: Where clients find what.
ADDRESSES = ("/", "/answer", "/health", "/metrics", "/openapi.json")
_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
#: The page loads nothing from elsewhere, whatever the texts in it are.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
#: Windows that are predicted together; larger batches are hardly faster on a CPU, and delay others.
BATCH_WINDOWS = 16
_CLIENT_LEFT = 499  # as web servers log it; nobody reads it


class Service:
    """A reader, and what all requests to it share.

    Args:
        reader: that answers.
        model: what clients read about it.
        limits: of a request.
    """

    def __init__(self, reader: Reader, model: ModelBody, limits: Limits) -> None:
        self.reader, self.model, self.limits = reader, model, limits
        self.monitor = Monitor(model)
        self.admission = Admission(limits.requests)
        self.batches = SharedBatches(reader.model.predict, BATCH_WINDOWS, self.monitor.count_batch)
        self._threads = anyio.CapacityLimiter(limits.requests)
        self.monitor.in_progress.set_function(lambda: self.admission.in_progress)

    async def answer(self, request: Request) -> Response:
        """Answer a question, and count the request."""
        begin = perf_counter()
        try:
            with self.admission:
                response = await self._limited(request)
        except Exception as error:
            status = error.status_code if isinstance(error, HTTPException) else 500
            self.monitor.requests.labels(status).inc()
            raise
        self.monitor.requests.labels(response.status_code).inc()
        self.monitor.seconds.observe(perf_counter() - begin)
        return response

    async def health(self, _: Request) -> Response:
        """Return whether questions are answered, and by which model."""
        is_alive = self.batches.is_alive
        health = Health(
            status="ok" if is_alive else "failed", version=retune.__version__, model=self.model
        )
        return JSONResponse(health.model_dump(), 200 if is_alive else 503)

    async def metrics(self, _: Request) -> Response:
        """Return figures for Prometheus."""
        return Response(self.monitor.text(), headers={"Content-Type": self.monitor.content_type})

    async def _limited(self, request: Request) -> Response:
        """Answer a question within the limit of time."""
        asked: Asked | None = None
        with anyio.move_on_after(self.limits.seconds):
            try:
                asked = await self._read(request)
                return await self._reply(request, asked)
            except ClientDisconnect:
                return Response(status_code=_CLIENT_LEFT)
        if asked is None:
            raise refusal(408, f"the body did not arrive within {self.limits.seconds:g} seconds")
        raise refusal(
            503,
            f"there was no answer within {self.limits.seconds:g} seconds; shorten the context, or "
            "repeat it later",
            retry_after=5,
        )

    async def _read(self, request: Request) -> Asked:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await read_limited(request, self.limits.bytes)
        if kind != "application/json":  # other sites can send all else from a browser
            raise refusal(415, "send JSON, with the header Content-Type: application/json")
        try:
            return read_body(body)
        except RetuneError as error:
            raise _refusal_for(error) from error

    async def _reply(self, request: Request, asked: Asked) -> Response:
        """Answer in a thread, until the client leaves."""
        shared = self.batches.request()

        async def answers() -> list[Answer]:
            return await anyio.to_thread.run_sync(
                self._answers, asked, shared, abandon_on_cancel=True, limiter=self._threads
            )

        try:
            found = await _until_client_leaves(request, answers)
        except RetuneError as error:
            raise _refusal_for(error) from error
        finally:
            shared.cancel()
        content: Any = found if asked.parameters.top_k > 1 else found[0]
        return JSONResponse(content)

    def _answers(self, asked: Asked, shared: SharedRequest) -> list[Answer]:
        given = asked.parameters
        (answers,) = self.reader.answers(
            asked.inputs.question,
            asked.inputs.context,
            given.top_k,
            given.options(),
            shared.predict,
            self.limits.windows,
        )
        return answers


def create_app(service: Service, hosts: list[str]) -> Starlette:
    """Return the application.

    Args:
        service: that answers.
        hosts: that requests may name in their `Host` header; `*` is any. It keeps the pages of
            other sites from reading a server on the user's own machine.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(service.batches.close)

    return Starlette(
        routes=[
            Route("/answer", service.answer, methods=["POST"]),
            Route("/health", service.health),
            Route("/metrics", service.metrics),
            Route("/openapi.json", _describe),
            *(Route(path, _page) for path in _PAGE),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
        exception_handlers={HTTPException: _refuse, Exception: _failure},
        lifespan=lifespan,
    )


async def _page(request: Request) -> Response:
    name, kind = _PAGE[request.url.path]
    return Response((_FOLDER / name).read_bytes(), media_type=kind, headers=_HEADERS)


async def _describe(_: Request) -> Response:
    return JSONResponse(description())


def _refusal_for(error: RetuneError) -> HTTPException:
    """Return what a client reads of an error."""
    if isinstance(error, CancelledRequestError):
        return refusal(503, "the server stops; repeat it later", retry_after=5)
    if isinstance(error, PredictionError):
        traceback.print_exception(error, file=sys.stderr)
        return refusal(500, str(error))
    return refusal(413 if isinstance(error, TooManyWindowsError) else 422, str(error))


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    why = error.detail
    if error.status_code == 404:
        why = f"no such address; there are {', '.join(ADDRESSES)}"
    if error.status_code == 405:
        why = f"{request.url.path} does not take {request.method}"
    return JSONResponse({"error": why}, error.status_code, error.headers)


async def _failure(_: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": f"the server failed: {type(error).__name__}; its log says why"}, 500
    )


async def _until_client_leaves(
    request: Request, answers: Callable[[], Awaitable[list[Answer]]]
) -> list[Answer]:
    """Return the result of `answers`; cancel it when the client leaves.

    Raises:
        ClientDisconnect: the client left.
    """
    found, failure = list[Answer](), None

    async def watch(scope: anyio.CancelScope) -> None:
        # The body was read, so that nothing else arrives.
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        try:
            found = await answers()
        except RetuneError as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not found:
        raise ClientDisconnect
    return found
