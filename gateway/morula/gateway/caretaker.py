"""Clears away what nobody needs any more: what was deleted, and what is kept for a while only."""

import asyncio
import time

from morula.common.errors import MorulaError
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.ledger import deletion, objects
from morula.gateway.ledger.engine import Ledger

POLL_S = 1.0
STORE_PAUSE_S = 5.0
BURIED_AT_ONCE = 100


class Caretaker:
    """One in every gateway; several on one database take turns."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger = ledger
        self._store = store
        self._store_away_until = 0.0

    async def run(self) -> None:
        """Clear away until cancelled."""
        while True:
            await self._ledger.write(deletion.finish_deletions)
            if not await self.bury():
                await asyncio.sleep(POLL_S)

    async def bury(self) -> int:
        """Delete some doomed objects; how many there were."""
        if time.monotonic() < self._store_away_until:
            return 0
        keys = await self._ledger.read(objects.doomed_keys, BURIED_AT_ONCE)
        try:
            if keys:
                # Asked before: a transaction must not wait for a store that is away.
                await asyncio.to_thread(self._store.stat, keys[0])
            for key in keys:
                await self._ledger.write(objects.bury, key, self._store.delete)
        except MorulaError as error:
            log.warning("objects cannot be deleted now", reason=error.reason, detail=str(error))
            self._store_away_until = time.monotonic() + STORE_PAUSE_S
            return 0
        return len(keys)
