"""Tells listeners of changes: one task watches the log of changes and wakes all listeners."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from morula.gateway.ledger import events
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.events import Change

POLL_S = 0.25
ASK_AGAIN_S = 60.0
"""So long a stream goes on before it is asked whether its listener may still hear."""


class Listeners:
    """Follows the log of changes for all listeners, each from its own place."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._grown = asyncio.Condition()
        self._last = 0
        self._closed = False

    async def run(self) -> None:
        """Poll the log until cancelled: other processes write to it, too."""
        while True:
            last = await self._ledger.patient.read(events.last_change)
            if last > self._last:
                async with self._grown:
                    self._last = last
                    self._grown.notify_all()
            await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """Let all listeners go, so that the server can stop."""
        async with self._grown:
            self._closed = True
            self._grown.notify_all()

    async def newest(self) -> int:
        """Number of the newest change."""
        return await self._ledger.read(events.last_change)

    async def resume(self, seq: int | None) -> tuple[int, bool]:
        """The number after which a listener goes on that has seen `seq`, and whether it missed pruned changes."""
        if seq is not None and await self._ledger.read(events.can_resume, seq):
            return seq, False
        return await self.newest(), seq is not None

    async def follow(
        self,
        seq: int,
        kind: str | None = None,
        subject_id: str | None = None,
        may_hear: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[list[Change]]:
        """Changes after `seq`, in batches as they come; each subject once per batch, at its newest change."""
        due = time.monotonic() + ASK_AGAIN_S
        while not self._closed:
            if time.monotonic() >= due:
                if may_hear is not None and not await may_hear():
                    return
                due = time.monotonic() + ASK_AGAIN_S
            # Read before the query, so that a change that comes after it ends the wait below.
            seen = self._last
            changes = await self._ledger.patient.read(events.changes_after, seq, kind, subject_id)
            if changes:
                seq = changes[-1][0]
                newest = {(change[1], change[2]): change for change in changes}
                yield sorted(newest.values())
                continue
            async with self._grown:
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - time.monotonic())):
                        await self._grown.wait_for(lambda seen=seen: self._closed or self._last > seen)  # type: ignore[misc]
