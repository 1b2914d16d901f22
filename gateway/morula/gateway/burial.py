"""Deletes doomed objects from the store, each outside of any transaction: a store may take longer than one may last.

Who claims a key meanwhile waits. Where whoever deletes an object is killed or loses the store, the object may be gone,
or may still go: it is deleted once more, and only then its key is free.
"""

import asyncio
import time

from morula.common.errors import MorulaError, Unavailable
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.ids import new_id
from morula.gateway.ledger.objects import Going

BEAT_S = 2.0
LOST_S = 60.0
"""Whose beat stands still for so long, by this process's clock, is deleting nothing any more."""
REFUSED_S = 600.0
"""How long an object is let be that the store did not delete."""


class Burial:
    """One undertaker, who deletes one object at a time."""

    def __init__(self, ledger: Transactions, store: Store) -> None:
        self._ledger = ledger
        self._store = store
        self._name = new_id()
        self._seen: dict[Going, float] = {}
        self._lost: dict[str, Going] = {}

    async def due(self, limit: int) -> list[str]:
        """Objects that are to be deleted now, the longest doomed first."""
        others = [one for one in await self._ledger.read(objects.going) if one.taker != self._name]
        seen = time.monotonic()
        self._seen = {one: self._seen.get(one, seen) for one in others}
        self._lost = {one.key: one for one, since in self._seen.items() if seen - since > LOST_S}
        return await self._ledger.read(objects.keys_to_bury, self._name, list(self._lost), limit)

    async def bury(self, key: str) -> bool:
        """Delete a doomed object, unless it was claimed since; Unavailable where the store is away."""
        if not await self._ledger.write(objects.take, key, self._name, self._lost.get(key)):
            return False
        deleting = asyncio.create_task(asyncio.to_thread(self._store.delete, key))
        while not (await asyncio.wait({deleting}, timeout=BEAT_S))[0]:
            await self._ledger.write(objects.carry_on, key, self._name)
        try:
            deleting.result()
        except Unavailable:
            # It may have been heard: the row keeps everybody away until the object is surely gone.
            raise
        except MorulaError as error:
            log.warning("object cannot be deleted", key=key, reason=error.reason, detail=str(error))
            await self._ledger.write(objects.put_off, key, self._name, time.time() + REFUSED_S)
            return False
        await self._ledger.write(objects.bury, key, self._name)
        return True
