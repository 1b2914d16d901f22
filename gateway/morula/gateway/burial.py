"""Deletes objects from the store, each outside of any transaction: a store may take longer than one may last.

The row of an object that is being deleted says by whom, and its beat grows as long as they are at it; who claims the
key meanwhile waits. Where the beat stands still for long, whoever deleted was killed, is frozen or lost the store. Then
anybody frees the row, so that nobody waits for ever; and who comes back after that deletes nothing any more, because
how fresh the own beat is, is asked last.
"""

import asyncio
import time
from collections.abc import Callable

from morula.common.errors import ArtifactChanged, ArtifactMissing, MorulaError, Unavailable
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.beats import Beats
from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.ids import new_id

BEAT_S = 2.0
LOST_S = 20.0
"""Whose beat stands still for so long is deleting nothing any more."""
AGAIN_S = 300.0
"""How long an object is let be that the store refused to delete."""


class Burial:
    """One undertaker."""

    def __init__(self, ledger: Transactions, store: Store) -> None:
        self._ledger = ledger
        self._store = store
        self._name = new_id()

    async def bury(self, key: str) -> bool:
        """Delete a doomed object, unless it was claimed since; Unavailable where the store is away."""
        lease = Lease()
        if not await self._ledger.write(objects.take, key, self._name):
            return False
        error = await self._end(key, lease, lambda: self._store.delete(key, lease.check))
        if isinstance(error, Unavailable):
            raise error
        if error is not None:
            unforeseen = None if isinstance(error, MorulaError) else error
            log.warning("object cannot be deleted", key=key, detail=str(error), exc_info=unforeseen)
        return error is None

    async def drop(self, key: str) -> None:
        """Delete an artifact that is not what it should be, though it is used, so that it is made anew."""
        await self._drop(key, lambda _made, lease: self._store.delete(key, lease.check))

    async def drop_damaged(self, key: str, sha256: str = "") -> None:
        """Drop an artifact, unless what lies there is what was made by now; this, if the ledger does not know it."""

        def drop(made: str, lease: "Lease") -> None:
            if self._is_damaged(key, made or sha256):
                self._store.delete(key, lease.check)

        await self._drop(key, drop)

    async def _drop(self, key: str, work: Callable[[str, "Lease"], None]) -> None:
        lease = Lease()
        made = await self._ledger.write(objects.take_used, key, self._name)
        error = await self._end(key, lease, lambda: work(made, lease))
        if error is not None:
            raise error

    def _is_damaged(self, key: str, sha256: str) -> bool:
        try:
            self._store.verify(key, sha256)
        except ArtifactMissing:
            return False
        except ArtifactChanged:
            return True
        return False

    async def _end(self, key: str, lease: "Lease", work: Callable[[], None]) -> BaseException | None:
        """Work on an object that was taken while its beat goes on, and leave it; what the store had against it."""
        working = asyncio.create_task(asyncio.to_thread(work))
        while not (await asyncio.wait({working}, timeout=BEAT_S))[0]:
            began = time.monotonic()
            if await self._ledger.write(objects.carry_on, key, self._name):
                lease.renewed = began
        error = working.exception()
        if error is None:
            await self._ledger.write(objects.bury, key, self._name)
        else:
            # A store that is away may have heard it: then the row keeps others away until nobody can be at it, and
            # lets who waited have the key before it is tried again.
            heard = isinstance(error, Unavailable)
            until = time.time() + (2 * LOST_S if heard else AGAIN_S)
            await self._ledger.write(objects.put_off, key, self._name, until, keep=heard)
        return error


class Lease:
    """How long a row that was taken is surely not free, unless its beat is renewed."""

    def __init__(self) -> None:
        self.renewed = time.monotonic()

    def check(self) -> None:
        """Unavailable where others may have the key by now."""
        if time.monotonic() - self.renewed > LOST_S / 2:
            raise Unavailable("it took too long to begin to delete the object")


class Deserted:
    """Finds deletions that nobody is at any more, and frees what they hold."""

    def __init__(self, ledger: Transactions) -> None:
        self._ledger = ledger
        self._beats = Beats(blind_s=LOST_S / 2)

    async def free(self) -> None:
        """To be called again and again."""
        going = await self._ledger.read(objects.going)
        self._beats.look({one.key: one for one in going})
        lost = [one for one in going if self._beats.still_s(one.key) > LOST_S]
        if lost:
            log.warning("deletions were left unfinished", keys=[one.key for one in lost])
            await self._ledger.write(objects.free, lost)
