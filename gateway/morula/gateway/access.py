"""Notes every request, also one that the guard refuses: a span, a line in the log, and metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import StatusCode
from prometheus_client import Counter, Gauge, Histogram
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morula.common import tracing
from morula.common.telemetry import log
from morula.gateway.page import METHODS

DURATIONS = Histogram(
    "morula_http_request_duration_seconds",
    "From a request's header to the end of its answer, by method, route and status.",
    ["method", "route", "status"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 30, 60, 300, 1200),
)
RECEIVED = Counter("morula_http_received_bytes", "Bytes of bodies of requests, by route.", ["route"])
SENT = Counter("morula_http_sent_bytes", "Bytes of bodies of answers, by route.", ["route"])
IN_FLIGHT = Gauge("morula_http_requests_in_flight", "Requests that are being answered.")

PROBES = ("/healthz", "/readyz", "/metrics")
"""Paths that machines ask for all the time: counted in metrics, logged only at debug level, never traced."""
CLIENT_GONE = 499
"""The status (nginx's) of a request whose client went away before the answer."""
SERVER_FAILED = 500


class Access:
    """The outermost layer, which sees every request and its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        with _span(scope, exchange), _noted(scope, exchange):
            await self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    """A request's body and its answer, as they pass."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.status = CLIENT_GONE
        self.received_bytes = 0
        self.sent_bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.sent_bytes += len(message.get("body", b""))
        await self._send(message)


@contextmanager
def _span(scope: Scope, exchange: _Exchange) -> Iterator[None]:
    if scope["path"] in PROBES:
        with tracing.inside(tracing.unsampled()):
            yield
        return
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    method = _method(scope)
    with tracing.answering(method, headers, {"http.request.method": method}) as span:
        try:
            yield
        finally:
            span.update_name(f"{method} {_route(scope)}")
            span.set_attributes({"http.route": _route(scope), "http.response.status_code": exchange.status})
            if exchange.status >= SERVER_FAILED:
                span.set_status(StatusCode.ERROR)


@contextmanager
def _noted(scope: Scope, exchange: _Exchange) -> Iterator[None]:
    began = time.perf_counter()
    with IN_FLIGHT.track_inprogress():
        try:
            yield
        finally:
            _note(scope, exchange, time.perf_counter() - began)


def _note(scope: Scope, exchange: _Exchange, duration_s: float) -> None:
    route = _route(scope)
    DURATIONS.labels(_method(scope), route, exchange.status).observe(duration_s)
    RECEIVED.labels(route).inc(exchange.received_bytes)
    SENT.labels(route).inc(exchange.sent_bytes)
    # The path without its query, which may hold a token.
    (log.debug if route in PROBES else log.info)(
        "request",
        method=_method(scope),
        route=route,
        path=scope["path"],
        status=exchange.status,
        duration_s=round(duration_s, 4),
        received_bytes=exchange.received_bytes,
        sent_bytes=exchange.sent_bytes,
    )


def _method(scope: Scope) -> str:
    """The method, or "other" for one that we do not know: each value is a time series of its own."""
    return scope["method"] if scope["method"] in (*METHODS, "HEAD", "OPTIONS") else "other"


def _route(scope: Scope) -> str:
    """The template of the path; `page` for files of the page, `none` for what was refused before or has no route."""
    route: BaseRoute | None = scope.get("route")
    if route is not None:
        return str(getattr(route, "path", "none"))
    return "page" if "endpoint" in scope else "none"
