"""What every request passes first: until accounts exist, only pages of this very server may speak to it.

A page of another site cannot make its visitor's browser write here (Origin), nor read here under a name of its own that
it points at this machine (Host).
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morula.common.errors import PermissionDenied, TooLarge
from morula.gateway.problems import answer_unexpected, problem_of, respond, trace_id

MAX_BODY_BYTES = 2 * 1024**2
LENGTH_DIGITS = 18
UPLOAD_PATH = "/v1/slides"

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
        upload = scope["path"] == UPLOAD_PATH and not headers.get("content-type", "").startswith("application/json")
        limit = self._max_upload_bytes if upload else MAX_BODY_BYTES
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check_origin(headers)
            _check_length(headers.get("content-length", "0"), limit)
            await self._app(scope, _bounded(receive, limit), _with_headers(noting))
        except (PermissionDenied, TooLarge) as error:
            await respond(problem_of(error, trace_id(scope)))(scope, receive, _with_headers(send))
        except Exception as error:
            if started:
                raise
            await answer_unexpected(scope, error)(scope, receive, _with_headers(send))

    def _check_origin(self, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if _name(host) not in self._allowed_hosts:
            raise PermissionDenied("This server answers only under the names of the machine it runs on.")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise PermissionDenied("Only pages of this server may speak to it.")


def _name(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _check_length(length: str, limit: int) -> None:
    if not length.isdecimal() or len(length) > LENGTH_DIGITS or int(length) > limit:
        raise TooLarge(f"The request is larger than {limit} bytes.")


def _bounded(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise TooLarge(f"The request is larger than {limit} bytes.")
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            added = [(name, value) for name, value in HEADERS.items() if name not in present]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return guarded
