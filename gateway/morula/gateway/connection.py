"""A connection of a client: limits the time for a request's header, and answers invalid HTTP with a problem, too.

The server below it would wait for a header for ever, and admit as many connections as the process can open files:
with TLS it would hear of them after the handshake only, which whoever is silent never ends.
"""

import asyncio
import json
import ssl
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from morula.common.errors import InvalidArgument, MorulaError, TooSlow
from morula.gateway.problems import PROBLEM_JSON, problem_of

HEADER_S = 20.0
HANDSHAKE_S = 10.0
CONNECTION_LIMIT = 1000


class Config(uvicorn.Config):
    """What a server is told; each connection begins TLS itself, once it is counted."""

    tls: ssl.SSLContext | None = None

    def load(self) -> None:
        super().load()
        self.tls, self.ssl = self.ssl, None


class Connection(H11Protocol):
    """Closes itself if a header does not arrive in time, and at once if there are too many connections."""

    def __init__(self, config: Config, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self._tls = config.tls
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the base has it
        super().connection_made(transport)
        if len(self.connections) > CONNECTION_LIMIT:
            transport.abort()
        elif self._tls is not None:
            self._handshake = self.loop.create_task(self._shake_hands(transport, self._tls))
        else:
            self._watch()

    async def _shake_hands(self, raw: asyncio.Transport, tls: ssl.SSLContext) -> None:
        try:
            transport = await self.loop.start_tls(raw, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S)
        except OSError:
            transport = None
        self._handshake = None
        if transport is None:  # Of such an end the library tells nobody.
            self.connections.discard(self)
            return
        super().connection_made(transport)
        self._watch()
        if self._early:
            self.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        if self._handshake is not None:
            self._early += data
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidArgument(msg))

    def _watch(self) -> None:
        """The time runs from the first byte of a request, or of the connection, to the end of the header."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._rest()
        elif self._patience is None and not self.transport.is_closing():
            self._patience = self.loop.call_later(HEADER_S, self._give_up)

    def _rest(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._refuse(TooSlow(f"The request's header did not arrive within {HEADER_S:g} s."))

    def _refuse(self, error: MorulaError) -> None:
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(problem_of(error)).encode()
            headers = [("content-type", PROBLEM_JSON), ("content-length", str(len(body))), ("connection", "close")]
            reason = error.reason.encode()
            for event in (
                h11.Response(status_code=error.http_status, headers=headers, reason=reason),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
