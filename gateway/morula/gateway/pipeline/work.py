"""One piece of a job's work: made by a service, or found where it would lie, and written down either way."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from morula.common.errors import (
    ArtifactMissing,
    Busy,
    DeadlineExceeded,
    Internal,
    MorulaError,
    Unavailable,
)
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.ledger import jobs, objects, shards
from morula.gateway.ledger.holds import HeldLedger
from morula.gateway.workers import ServiceDied

Json = dict[str, Any]
T = TypeVar("T")

ATTEMPT_LIMIT = 3
# Whatever made an attempt fail has some time to pass.
ATTEMPT_PAUSES_S = (1.0, 4.0)
# A service or a store that cannot be reached is started again by whoever watches it; until then the piece waits.
AWAY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# A service that died during the call may have died of it: such calls are counted.
WORTH_ANOTHER_ATTEMPT = (ArtifactMissing, DeadlineExceeded, Internal, ServiceDied)


@dataclass(frozen=True)
class Piece:
    """A piece of work: which stage, which number, and the keys of what it makes."""

    stage: str
    number: int
    keys: Sequence[str]
    besides: Sequence[str] = ()
    """Keys of what making it may leave besides."""


class Workbench:
    """Has pieces of one job made, each at most once as far as the store can tell."""

    def __init__(self, ledger: HeldLedger, store: Store, job_id: str) -> None:
        self._ledger = ledger
        self._store = store
        self._job_id = job_id
        self._waiting_for: str | None = None

    async def make(self, piece: Piece, find: Callable[[], Json], call: Callable[[], Awaitable[Json]]) -> Json:
        """What the piece came to: by `find` where all its artifacts are there, else by `call`."""
        await self.claim([*piece.keys, *piece.besides])
        if await self.exists(piece.keys):
            result = await self.reach(find)
            await self._note(shards.finish_shard, piece, result, written=False)
            return result
        return await self.do(piece, call)

    async def do(self, piece: Piece, call: Callable[[], Awaitable[Json]]) -> Json:
        """What the piece came to, made now."""
        result = await self._call(piece, call)
        await self._note(shards.finish_shard, piece, result, written=True)
        return result

    async def ask(self, piece: Piece, call: Callable[[], Awaitable[Json]]) -> Json:
        """What a service says on the way to the piece, which is not done by it."""
        return await self._call(piece, call)

    async def claim(self, keys: Sequence[str]) -> None:
        """Have these artifacts kept for the job, before it looks for them or has them made."""
        await self._ledger.write(objects.claim, "job", self._job_id, keys)

    async def exists(self, keys: Sequence[str]) -> bool:
        """Whether all these artifacts are in the store."""
        return await self.reach(lambda: all(self._store.stat(key) is not None for key in keys))

    async def reach(self, access: Callable[[], T]) -> T:
        """What a look into the store comes to, on a thread; a store that is away is waited for."""
        return await self.outlast(lambda: asyncio.to_thread(access))

    async def outlast(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work comes to, once all that it needs is there."""
        away_count = 0
        while True:
            try:
                done = await work()
            except Unavailable as error:
                await self._wait(error, away_count)
                away_count += 1
            else:
                await self._tell(None)
                return done

    async def report(self, stage: str, done_count: int, total_count: int) -> None:
        """How far a stage is that reports its progress itself."""
        await self._ledger.write(shards.set_progress, self._job_id, stage, done_count, total_count)

    async def lay(self, stage: str, count: int) -> None:
        """Write down the pieces of a stage."""
        await self._ledger.write(shards.lay_shards, self._job_id, stage, count)

    async def _call(self, piece: Piece, call: Callable[[], Awaitable[Json]]) -> Json:
        away_count = attempt_count = 0
        while True:
            await self._note(shards.start_shard, piece)
            try:
                result = await call()
            except Busy as error:
                await self._note(shards.requeue_shard, piece)
                await asyncio.sleep(error.retry_after_s)
            except MorulaError as error:
                if _counts(error):
                    attempt_count += 1
                    await self._count_failure(piece, error, attempt_count)
                    await asyncio.sleep(ATTEMPT_PAUSES_S[attempt_count - 1])
                    continue
                await self._note(shards.requeue_shard, piece)
                await self._wait(error, away_count)
                away_count += 1
            else:
                await self._tell(None)
                return result

    async def _count_failure(self, piece: Piece, error: MorulaError, attempt_count: int) -> None:
        log.warning("piece failed", stage=piece.stage, shard=piece.number, reason=error.reason, detail=str(error))
        if attempt_count >= ATTEMPT_LIMIT or not isinstance(error, WORTH_ANOTHER_ATTEMPT):
            await self._note(shards.fail_shard, piece)
            raise error

    async def _wait(self, error: MorulaError, away_count: int) -> None:
        pause_s = AWAY_PAUSES_S[min(away_count, len(AWAY_PAUSES_S) - 1)]
        log.warning("something is away that a job needs", detail=str(error), pause_s=pause_s)
        await self._tell(str(error))
        await asyncio.sleep(pause_s)

    async def _tell(self, waiting_for: str | None) -> None:
        """Write down what the job waits for, once, and once that it goes on."""
        if waiting_for != self._waiting_for:
            self._waiting_for = waiting_for
            await self._ledger.write(jobs.note_job, self._job_id, waiting_for=waiting_for)

    async def _note(self, query: Callable[..., None], piece: Piece, *args: object, **kwargs: object) -> None:
        await self._ledger.write(query, self._job_id, piece.stage, piece.number, *args, **kwargs)


def _counts(error: MorulaError) -> bool:
    return isinstance(error, ServiceDied) or not isinstance(error, Unavailable)
