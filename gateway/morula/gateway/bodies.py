"""A request's body: limited in size and time, and read on for a while after it was refused.

If a connection is closed while bytes are unread, it is reset, and a client that is still sending never sees the answer.
"""

import asyncio
import time

from starlette.types import Message, Receive

from morula.common.errors import TooLarge, TooSlow

PATIENCE_S = 30.0
"""How long the next `PACE_BYTES` may take."""
PACE_BYTES = 16 * 1024
DRAIN_S = 30.0
DRAIN_BYTES = 256 * 1024**2


class Body:
    """The body of one request."""

    def __init__(self, receive: Receive, headers: dict[str, str], limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._taken = 0
        self._paced = 0
        self._left_s = PATIENCE_S
        length = headers.get("content-length", "0")
        self._too_large = not length.isdecimal() or len(length) > len(str(limit)) or int(length) > limit
        self.is_whole = length == "0" and "transfer-encoding" not in headers
        self.is_over = self.is_whole
        """Nothing more comes, or the client is gone or too slow."""

    def check_length(self) -> None:
        """Refuse a body whose Content-Length is too large, before anything is read."""
        if self._too_large:
            raise TooLarge(f"The request is larger than {self._limit} bytes.")

    async def receive(self) -> Message:
        """The next part of the body; after the last one, the message that the client has gone."""
        if self.is_over:
            return await self._receive()
        message = await self._next()
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            raise TooLarge(f"The request is larger than {self._limit} bytes.")
        return message

    async def drain(self) -> None:
        """Read on for a while and ignore what comes."""
        started, taken = time.monotonic(), self._taken
        while not self.is_over and time.monotonic() - started < DRAIN_S and self._taken - taken < DRAIN_BYTES:
            try:
                self._taken += len((await self._next()).get("body", b""))
            except TooSlow:
                return

    async def _next(self) -> Message:
        since = time.monotonic()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError as error:
            self.is_over = True
            raise TooSlow(f"Less than {PACE_BYTES} bytes of the request came in {PATIENCE_S:g} s.") from error
        self._left_s -= time.monotonic() - since
        self._paced += len(message.get("body", b""))
        if self._paced >= PACE_BYTES:
            self._paced, self._left_s = 0, PATIENCE_S
        self.is_whole = not message.get("more_body", False)
        self.is_over = self.is_whole or message["type"] == "http.disconnect"
        return message
