"""Checks every request first: only pages of this server may use it from a browser.

The check of Origin keeps a page of another site from writing here through its visitor's browser. The check of Host
keeps it from reading here under a name of its own that resolves to this machine.
"""

import asyncio
import re

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morula.common.errors import InvalidArgument, MorulaError, NotFound, PermissionDenied, Unavailable
from morula.common.telemetry import log
from morula.gateway.access import PROBES
from morula.gateway.bodies import Body
from morula.gateway.problems import answer, answer_unexpected

MAX_BODY_BYTES = 2 * 1024**2
UPLOAD_PATH = "/v1/slides"
TRUTHS_PATH = "/v1/truths"
MAX_TRUTH_BYTES = 128 * 1024**2 + 64 * 1024
"""What the evaluator reads of one, and what a form has around it."""

SAMPLES_PATH = re.compile(r"/v1/samples(/[^/]{1,64}/labels)?")
MAX_SAMPLE_BYTES = 32 * 1024**2
"""Batches with the outlines of some 30,000 cells, or a label of each cell that a sample may have."""

HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}

# Exactly host[:port] of RFC 9110: no user before an @, nothing after the port.
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)


class Guard:
    """Checks Host, Origin and the length of bodies; adds headers that keep browsers strict."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str], max_upload_bytes: int) -> None:
        self._app = app
        self._allowed_hosts = allowed_hosts
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = Body(receive, headers, self._longest(scope, headers))
        sent = _Answer(body, send)
        try:
            self._check_origin(scope, headers)
            _check_address(scope)
            body.check_length()
            await self._app(scope, body.receive, sent.send)
        except ClientDisconnect:
            return  # Nobody waits for an answer.
        except asyncio.CancelledError:
            # The server stops: what waits for a service that is away is neither read on nor waited for.
            body.is_over = True
            if sent.has_begun:
                log.info("an answer was broken off", path=scope["path"], reason="the server stops")
                return
            await answer(Unavailable("The server stops; send it again soon."))(scope, body.receive, sent.send)
        except MorulaError as error:
            # The application answers its own errors: this one was raised by the guard, by the doorkeeper or while the
            # body was read.
            if sent.has_begun:
                log.info("an answer was broken off", path=scope["path"], reason=error.reason)
                return
            await answer(error)(scope, body.receive, sent.send)
        except Exception as error:
            if sent.has_begun:
                raise
            await answer_unexpected(scope, error)(scope, body.receive, sent.send)

    def _longest(self, scope: Scope, headers: dict[str, str]) -> int:
        """How many bytes a body may have."""
        if SAMPLES_PATH.fullmatch(scope["path"]):
            return MAX_SAMPLE_BYTES
        if headers.get("content-type", "").startswith("application/json"):
            return MAX_BODY_BYTES
        return {UPLOAD_PATH: self._max_upload_bytes, TRUTHS_PATH: MAX_TRUTH_BYTES}.get(scope["path"], MAX_BODY_BYTES)

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        # Probes ask a pod by its address, whatever names the server has for people.
        is_named = host is not None and host["name"].lower() in self._allowed_hosts
        if not is_named and scope["path"] not in PROBES:
            raise PermissionDenied(
                "The Host header names another machine: this server answers only under the names that it is told "
                "(MORULA_ALLOWED_HOSTS), as 127.0.0.1 where it is told none."
            )
        origin = headers.get("origin")
        # A proxy that ends TLS may not say so: over plain HTTP the page may have come by either.
        schemes = ("https",) if scope["scheme"] == "https" else ("http", "https")
        if origin is not None and (not is_named or origin not in {f"{scheme}://{hosts[0]}" for scheme in schemes}):
            raise PermissionDenied(
                "The Origin header names another site: only pages of this server may use it from a browser."
            )


def _check_address(scope: Scope) -> None:
    """Refuse NUL characters, which no name has and PostgreSQL cannot store; bodies are checked where they are read."""
    if "\0" in scope["path"]:
        raise NotFound("The address has a NUL character in it, which no name has.")
    if b"%00" in scope["query_string"]:
        raise InvalidArgument("The query has a NUL character in it.")


class _Answer:
    """Sends an answer to the client."""

    def __init__(self, body: Body, send: Send) -> None:
        self._body = body
        self._send = send
        self.has_begun = False

    async def send(self, message: Message) -> None:
        """Send a message with our headers added; an answer before the end of the body closes the connection."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            present = {name for name, _ in message["headers"]}
            added = [(name, value) for name, value in HEADERS.items() if name not in present]
            closing = [] if self._body.is_whole else [(b"connection", b"close")]
            await self._send({**message, "headers": [*message["headers"], *added, *closing]})
        elif message.get("more_body", False) or self._body.is_over:
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._body.drain()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
