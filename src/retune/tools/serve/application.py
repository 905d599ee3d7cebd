"""The web application: its addresses, and what it replies to each request."""

import re
import sys
import traceback
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

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
#: The public addresses.
ADDRESSES = ("/", "/answer", "/health", "/metrics", "/openapi.json")
_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
#: The page may load nothing from elsewhere, whatever the texts in it are.
HEADERS = {
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
        reader: answers the questions.
        model: a description of it for clients.
        limits: of a request.
    """

    def __init__(self, reader: Reader, model: ModelBody, limits: Limits) -> None:
        self.reader, self.model, self.limits = reader, model, limits
        self.monitor = Monitor(model)
        self.admission = Admission(limits.requests)
        self.batches = SharedBatches(reader.model.predict, BATCH_WINDOWS, self.monitor.count_batch)
        self._threads = anyio.CapacityLimiter(limits.requests)  # as many as are admitted
        self.monitor.in_progress.set_function(lambda: self.admission.in_progress)

    async def answer(self, request: Request) -> Response:
        """Answer a question, and count the request."""
        begin, status = perf_counter(), 500
        try:
            with self.admission:
                response = await self._reply(request)
            status = response.status_code
            return response
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            self.monitor.requests.labels(status).inc()
            if status in (200, 503):  # it was answered, or took too long
                self.monitor.seconds.observe(perf_counter() - begin)

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

    async def _reply(self, request: Request) -> Response:
        """Answer a question within the limit of time."""
        end = anyio.current_time() + self.limits.seconds
        shared = self.batches.request()
        try:
            with anyio.move_on_after(self.limits.seconds) as reading:
                asked = await self._read(request)
            if reading.cancelled_caught:
                why = f"the body did not arrive within {self.limits.seconds:g} seconds"
                raise refusal(408, why, close=True)
            found = await self._found(request, asked, shared, end)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_LEFT)
        except CancelledRequestError:
            if await request.is_disconnected():
                return Response(status_code=_CLIENT_LEFT)
            raise self._too_late(end) from None
        except PredictionError as error:
            traceback.print_exception(error, file=sys.stderr)
            raise refusal(500, str(error)) from error
        except RetuneError as error:
            status = 413 if isinstance(error, TooManyWindowsError) else 422
            raise refusal(status, str(error)) from error
        content: Any = found if asked.parameters.top_k > 1 else found[0]
        return JSONResponse(content)

    async def _read(self, request: Request) -> Asked:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await read_limited(request, self.limits.bytes)
        if kind != "application/json":  # other sites can send all else from a browser
            raise refusal(415, "send JSON, with the header Content-Type: application/json")
        return read_body(body)

    async def _found(
        self, request: Request, asked: Asked, shared: SharedRequest, end: float
    ) -> list[Answer]:
        """Answer in a thread, and tell it when the time is over or the client leaves.

        The thread is waited for, so that no more threads work than requests are admitted.
        """

        async def cancel_at_end() -> None:
            await anyio.sleep_until(end)
            shared.cancel()

        async def cancel_without_client() -> None:
            # The body was read, so that nothing else arrives.
            while (await request.receive())["type"] != "http.disconnect":
                pass
            shared.cancel()

        found, failure = list[Answer](), None
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_at_end)
            group.start_soon(cancel_without_client)
            try:
                found = await anyio.to_thread.run_sync(
                    self._answers, asked, shared, limiter=self._threads
                )
            except Exception as error:  # which the group would wrap
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return found

    def _too_late(self, end: float) -> HTTPException:
        if anyio.current_time() < end:
            return refusal(503, "the server stops; repeat it later", retry_after=5)
        return refusal(
            503,
            f"there was no answer within {self.limits.seconds:g} seconds; shorten the context, or "
            "repeat it later",
            retry_after=5,
        )

    def _answers(self, asked: Asked, shared: SharedRequest) -> list[Answer]:
        given = asked.parameters
        try:
            (answers,) = self.reader.answers(
                asked.inputs.question,
                asked.inputs.context,
                given.top_k,
                given.options(),
                shared.predict,
                self.limits.windows,
            )
        except (CancelledRequestError, PredictionError):
            raise
        except BaseException as error:
            # What comes after the prediction is no fault of the question.
            if isinstance(error, RetuneError) and not shared.is_predicted:
                raise
            raise PredictionError(f"the model failed: {error}") from error
        return answers


class _Hosts:
    """Refuses requests to other names, so that no page of another site reads this server.

    A browser lets a page read its own site, and a site may name any address, such as this one.

    Args:
        app: for all other requests.
        allowed: names in the `Host` header; None allows any.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str] | None) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._allowed is not None:
            given = Headers(scope=scope).get("host", "")
            host = given.rpartition(":")[0] if re.search(r":\d*$", given) else given
            if host.lower() not in self._allowed:
                why = f"this server is not {given or 'without a name'}; see --allowed-host"
                await JSONResponse({"error": why}, 400)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def create_app(service: Service, hosts: Collection[str] | None) -> Starlette:
    """Return the application.

    Args:
        service: answers the questions.
        hosts: names that requests may have in their `Host` header; None allows any.
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
        middleware=[Middleware(_Hosts, allowed=hosts)],
        exception_handlers={HTTPException: _refuse, Exception: _failure},
        lifespan=lifespan,
    )


async def _page(request: Request) -> Response:
    name, kind = _PAGE[request.url.path]
    return Response((_FOLDER / name).read_bytes(), media_type=kind, headers=HEADERS)


async def _describe(_: Request) -> Response:
    return JSONResponse(description())


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
