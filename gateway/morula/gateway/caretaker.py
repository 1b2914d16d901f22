"""Deletes in the background what people deleted, and prunes what is kept only for some time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from morula.common.errors import MorulaError, Unavailable
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway import own_store
from morula.gateway.burial import Burial, Deserted
from morula.gateway.ledger import deletion, events, labels, objects
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.outages import passes
from morula.gateway.settings import GatewaySettings
from morula.gateway.tasks import keep_running

POLL_S = 1.0
STORE_PAUSE_S = 5.0
BURIED_AT_ONCE = 100
AWAY_S = 60.0
"""Pause after the engine's database was away."""
ROUND_S = 3600.0
DAY_S = 24 * 3600.0
UPLOAD_S = DAY_S
"""After so long an upload is forgotten: none takes longer."""
AT_WORK_S = 3600.0
"""An object that was claimed a shorter time ago may still be in the making."""

Forget = Callable[[float], Awaitable[int]]
"""Makes the engine forget workflows that ended before a time; how many."""


class Caretaker:
    """The background deletion of one gateway; several gateways may run theirs on one database."""

    def __init__(
        self, settings: GatewaySettings, ledger: Transactions, store: Store, project: str, forget: Forget
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._project = project
        self._forget = forget
        self._burial = Burial(ledger, store)
        self._deserted = Deserted(ledger)
        self._mark = ""
        self._store_away_until = 0.0

    async def run(self) -> None:
        """Run until cancelled; if one errand fails, it starts again and the others go on."""
        errands = (
            ("deletions", self._finish_deletions),
            ("burial", self._bury),
            ("deserted deletions", self._free_deserted),
            ("pruning", self._prune),
        )
        async with asyncio.TaskGroup() as group:
            for name, errand in errands:
                group.create_task(keep_running(name, errand), name=name)
            group.create_task(keep_running("forgetting", self._forget_runs, AWAY_S), name="forgetting")

    async def _finish_deletions(self) -> None:
        while True:
            if await self._ledger.read(deletion.is_due):
                await self._ledger.write(deletion.finish_deletions)
            await asyncio.sleep(POLL_S)

    async def _bury(self) -> None:
        while True:
            if not self._mark and time.monotonic() >= self._store_away_until:
                await self.leave_mark()
            if not await self.bury():
                await asyncio.sleep(POLL_S)

    async def _free_deserted(self) -> None:
        # Also while nothing may be deleted, because others may wait for a key.
        while True:
            await self._deserted.free()
            await asyncio.sleep(POLL_S)

    async def _prune(self) -> None:
        while True:
            await self.prune()
            await asyncio.sleep(ROUND_S)

    async def _forget_runs(self) -> None:
        while True:
            pause_s = ROUND_S
            try:
                await self._forget(time.time() - self._settings.retain_workflows_days * DAY_S)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("runs cannot be forgotten now: the engine's database is away", detail=type(error).__name__)
                pause_s = AWAY_S
            await asyncio.sleep(pause_s)

    async def prune(self) -> None:
        """Release everything whose time is over: events, layers, sheets, uploads."""
        settings, now = self._settings, time.time()
        events_before = now - settings.retain_events_days * DAY_S
        pruned = True
        while pruned:
            pruned = bool(await self._ledger.write(events.prune, events_before, settings.retain_event_count))
        await self._ledger.write(labels.prune_layers, settings.retain_layer_count, now - AT_WORK_S)
        await self._ledger.write(objects.release_stage, "sheet", now - settings.retain_sheets_days * DAY_S)
        await self._ledger.write(objects.release_uploads, now - UPLOAD_S)

    async def bury(self) -> int:
        """Delete some doomed objects; how many there were."""
        if not self._mark or time.monotonic() < self._store_away_until:
            return 0
        keys = await self._ledger.read(objects.keys_to_bury, BURIED_AT_ONCE)
        if not keys:
            return 0
        try:
            if not await self._is_ours():
                return self._pause(ROUND_S)
            for key in keys:
                await self._burial.bury(key)
        except Unavailable as error:
            log.warning("objects cannot be deleted now", detail=str(error))
            return self._pause(STORE_PAUSE_S)
        return len(keys)

    async def leave_mark(self) -> None:
        """Leave this database's mark in the store, before anything is deleted there."""
        mark = await self._ledger.read(own_store.mark_of, self._project)
        try:
            await asyncio.to_thread(own_store.leave_mark, self._store, mark)
        except MorulaError as error:
            log.warning("mark cannot be left in the store", reason=error.reason, detail=str(error))
            self._pause(STORE_PAUSE_S)
        else:
            self._mark = mark

    async def _is_ours(self) -> bool:
        """Whether this database alone uses the store; rows of another database could not be seen here."""
        others = await asyncio.to_thread(own_store.others, self._store, self._mark)
        if others:
            log.warning("another database uses the store, so that no object is deleted", marks=others)
        return not others

    def _pause(self, pause_s: float) -> int:
        self._store_away_until = time.monotonic() + pause_s
        return 0
