"""Clears away what nobody needs any more: what was deleted, and what is kept for a while only."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from morula.common.errors import MorulaError, Unavailable
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway import ground
from morula.gateway.ledger import deletion, events, labels, objects
from morula.gateway.ledger.engine import Transactions
from morula.gateway.settings import GatewaySettings

POLL_S = 1.0
STORE_PAUSE_S = 5.0
BURIED_AT_ONCE = 100
REFUSED_S = 600.0
"""How long an object is let be that the store did not delete."""
ROUND_S = 3600.0
DAY_S = 24 * 3600.0
UPLOAD_S = DAY_S
"""Longer than anybody needs to store and read what was received."""
AT_WORK_S = 3600.0
"""Longer than anybody needs to make what was claimed."""

Forget = Callable[[float], Awaitable[int]]
"""Has the engine forget what ended before a time."""


class Caretaker:
    """One in every gateway; several on one database take turns."""

    def __init__(
        self, settings: GatewaySettings, ledger: Transactions, store: Store, project: str, forget: Forget
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._project = project
        self._forget = forget
        self._mark = ""
        self._store_away_until = 0.0

    async def run(self) -> None:
        """Clear away until cancelled."""
        next_round = 0.0
        while True:
            if not self._mark and time.monotonic() >= self._store_away_until:
                await self.leave_mark()
            if await self._ledger.read(deletion.is_due):
                await self._ledger.write(deletion.finish_deletions)
            if time.monotonic() >= next_round:
                await self.prune()
                next_round = time.monotonic() + ROUND_S
            if not await self.bury():
                await asyncio.sleep(POLL_S)

    async def prune(self) -> None:
        """Let go of what is kept for a while only."""
        settings, now = self._settings, time.time()
        events_before = now - settings.retain_events_days * DAY_S
        pruned = True
        while pruned:
            pruned = bool(await self._ledger.write(events.prune, events_before, settings.retain_event_count))
        await self._ledger.write(labels.prune_layers, settings.retain_layer_count, now - AT_WORK_S)
        await self._ledger.write(objects.release_stage, "sheet", now - settings.retain_sheets_days * DAY_S)
        await self._ledger.write(objects.release_uploads, now - UPLOAD_S)
        await self._forget(now - settings.retain_workflows_days * DAY_S)

    async def bury(self) -> int:
        """Delete some doomed objects; how many there were."""
        if not self._mark or time.monotonic() < self._store_away_until:
            return 0
        keys = await self._ledger.read(objects.doomed_keys, BURIED_AT_ONCE, time.time())
        if not keys:
            return 0
        try:
            # Before any transaction, which must not wait for a store that is away.
            if not await self._is_ours():
                return self._pause(ROUND_S)
            for key in keys:
                await self._bury(key)
        except Unavailable as error:
            log.warning("objects cannot be deleted now", detail=str(error))
            return self._pause(STORE_PAUSE_S)
        return len(keys)

    async def _bury(self, key: str) -> None:
        try:
            await self._ledger.write(objects.bury, key, self._store.delete)
        except Unavailable:
            raise
        except MorulaError as error:
            log.warning("object cannot be deleted", key=key, reason=error.reason, detail=str(error))
            await self._ledger.write(objects.put_off, key, time.time() + REFUSED_S)

    async def leave_mark(self) -> None:
        """Before anything is deleted, others are told that this database uses the store."""
        mark = await self._ledger.read(ground.mark_of, self._project)
        try:
            await asyncio.to_thread(ground.leave_mark, self._store, mark)
        except MorulaError as error:
            log.warning("mark cannot be left in the store", reason=error.reason, detail=str(error))
            self._pause(STORE_PAUSE_S)
        else:
            self._mark = mark

    async def _is_ours(self) -> bool:
        """Whether no other database uses the store, whose rows would not be seen here."""
        others = await asyncio.to_thread(ground.others, self._store, self._mark)
        if others:
            log.warning("another database uses the store, so that no object is deleted", marks=others)
        return not others

    def _pause(self, pause_s: float) -> int:
        self._store_away_until = time.monotonic() + pause_s
        return 0
