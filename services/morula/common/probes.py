"""A worker's plain port: its numbers for Prometheus, and whether it serves, for whoever speaks no gRPC or no TLS."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


PATIENCE_S = 5.0
CONNECTION_LIMIT = 32


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per connection, of which there are few, and none for long: whoever asks here shows no certificate."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._began: dict[Any, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._began) >= CONNECTION_LIMIT:
            self.shutdown_request(request)
            return
        self._began[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self._began[request]

    def service_actions(self) -> None:
        """Called by the loop twice a second. Its thread reads or writes nothing more, and ends."""
        for request, began in list(self._began.items()):
            if time.monotonic() - began > PATIENCE_S:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)


class _ServerOfSix(_Server):
    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    """A probe every few seconds is no line of the log."""

    def log_message(self, *_: object) -> None:
        pass


def serve_probes(port: int, host: str, is_serving: Callable[[], bool]) -> tuple[WSGIServer, Thread]:
    """Serves /metrics, /healthz and /readyz; returns the server, which `server.shutdown()` ends, and its thread."""
    numbers = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            found: Iterable[bytes] = numbers(environ, start_response)
            return found
        states = {"/healthz": HTTPStatus.OK, "/readyz": _ready(is_serving())}
        status = states.get(path, HTTPStatus.NOT_FOUND)
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain")])
        return [status.phrase.encode()]

    kind = _ServerOfSix if ":" in host else _Server
    server = make_server(host, port, answer, kind, _Silent)
    thread = Thread(target=server.serve_forever, name="probes", daemon=True)
    thread.start()
    return server, thread


def _ready(serving: bool) -> HTTPStatus:
    return HTTPStatus.OK if serving else HTTPStatus.SERVICE_UNAVAILABLE
