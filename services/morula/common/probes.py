"""A worker's plain port: its numbers for Prometheus, and whether it serves, for whoever speaks no gRPC or no TLS."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


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
            return numbers(environ, start_response)
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
