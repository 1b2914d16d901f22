"""Deletes objects from the store, outside of any transaction, because a store may be slow.

The row of an object that is being deleted names the process that deletes it; that process lets the row's beat grow, and
whoever claims the key waits. If the beat stands still for long, the process was killed, is frozen or cannot reach the
store. Then any other process frees the row, so that nobody waits for ever. A process that wakes up after that deletes
nothing, because it checks the age of its own last beat immediately before it deletes.
"""

import asyncio
import time
from collections.abc import Callable

from morula.common.errors import ArtifactChanged, ArtifactMissing, MorulaError, Unavailable
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.beats import Beats
from morula.gateway.ledger import artifacts, objects
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.ids import new_id
from morula.gateway.ledger.records import Record

BEAT_S = 2.0
LOST_S = 20.0
"""A process whose beat stands still for so long no longer counts as deleting."""
AGAIN_S = 300.0
"""Pause before an object is tried again that the store refused to delete."""


class Burial:
    """One deleter of objects, with a name of its own in the rows."""

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
        """Delete an artifact that is wrong although it is used, so that it is made again."""
        await self._drop(key, lambda _known, lease: self._store.delete(key, lease.check))

    async def drop_damaged(self, key: str, sha256: str = "", *, made_of: str | None = None) -> None:
        """Drop an artifact unless it has the digest in the ledger, or `sha256` if the ledger has none, and was made of
        `made_of` if that is named: another job may have mended it by now."""

        def drop(known: Record | None, lease: "Lease") -> None:
            made = known["sha256"] if known else artifacts.UNKNOWN
            is_of_others = known is not None and made_of not in (None, known["made_of"])
            if is_of_others or self._is_damaged(key, made or sha256):
                self._store.delete(key, lease.check)

        await self._drop(key, drop)

    async def _drop(self, key: str, work: Callable[[Record | None, "Lease"], None]) -> None:
        lease = Lease()
        known = await self._ledger.write(objects.take_used, key, self._name)
        error = await self._end(key, lease, lambda: work(known, lease))
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
        """Do the work while the beat of the object's row grows, then give the row back; the store's error, if any."""
        working = asyncio.create_task(asyncio.to_thread(work))
        while not (await asyncio.wait({working}, timeout=BEAT_S))[0]:
            began = time.monotonic()
            if await self._ledger.write(objects.carry_on, key, self._name):
                lease.renewed = began
        error = working.exception()
        if error is None:
            await self._ledger.write(objects.bury, key, self._name)
        else:
            # A store that did not answer may still delete the object later. Then the row stays taken until that is no
            # longer possible, and after it those who waited can claim the key before this is tried again.
            may_follow = isinstance(error, Unavailable)
            until = time.time() + (2 * LOST_S if may_follow else AGAIN_S)
            await self._ledger.write(objects.put_off, key, self._name, until, keep=may_follow)
        return error


class Lease:
    """When the beat was renewed last: for some time after that no other process can have freed the row."""

    def __init__(self) -> None:
        self.renewed = time.monotonic()

    def check(self) -> None:
        """Raise Unavailable if another process may have freed the row by now."""
        if time.monotonic() - self.renewed > LOST_S / 2:
            raise Unavailable("it took too long to begin to delete the object")


class Deserted:
    """Finds deletions whose process is gone, and frees their rows."""

    def __init__(self, ledger: Transactions) -> None:
        self._ledger = ledger
        self._beats = Beats(blind_s=LOST_S / 2)

    async def free(self) -> None:
        """Free the rows whose beat stood still since earlier calls; to be called again and again."""
        going = await self._ledger.read(objects.going)
        self._beats.look({deletion.key: deletion for deletion in going})
        lost = [deletion for deletion in going if self._beats.still_s(deletion.key) > LOST_S]
        if lost:
            log.warning("deletions were left unfinished", keys=[deletion.key for deletion in lost])
            await self._ledger.write(objects.free, lost)
