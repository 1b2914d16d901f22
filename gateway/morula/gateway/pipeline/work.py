"""One piece of a job's work: made by a service, or found where it would lie, and written down either way."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
from morula.gateway.ledger import shards
from morula.gateway.ledger.engine import Ledger
from morula.gateway.workers import ServiceDied

Json = dict[str, Any]

ATTEMPT_LIMIT = 3
# A service that cannot be reached is started again by whoever watches it; until then the piece waits.
AWAY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# A service that died during the call may have died of it: such calls are counted.
WORTH_ANOTHER_ATTEMPT = (ArtifactMissing, DeadlineExceeded, Internal, ServiceDied)


@dataclass(frozen=True)
class Piece:
    """A piece of work: which stage, which number, and the keys of what it makes."""

    stage: str
    number: int
    keys: Sequence[str]


class Workbench:
    """Has pieces of one job made, each at most once as far as the store can tell."""

    def __init__(self, ledger: Ledger, store: Store, job_id: str) -> None:
        self._ledger = ledger
        self._store = store
        self._job_id = job_id

    async def make(self, piece: Piece, find: Callable[[], Json], call: Callable[[], Awaitable[Json]]) -> Json:
        """What the piece came to: by `find` where all its artifacts are there, else by `call`."""
        if await self.exists(piece.keys):
            result = await asyncio.to_thread(find)
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

    async def exists(self, keys: Sequence[str]) -> bool:
        """Whether all these artifacts are in the store."""
        return await asyncio.to_thread(lambda: all(self._store.stat(key) is not None for key in keys))

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
                return await call()
            except Busy as error:
                await self._note(shards.requeue_shard, piece)
                await asyncio.sleep(error.retry_after_s)
            except MorulaError as error:
                if _counts(error):
                    attempt_count += 1
                    await self._count_failure(piece, error, attempt_count)
                    continue
                pause_s = AWAY_PAUSES_S[min(away_count, len(AWAY_PAUSES_S) - 1)]
                away_count += 1
                log.warning("service away", stage=piece.stage, shard=piece.number, detail=str(error), pause_s=pause_s)
                await self._note(shards.requeue_shard, piece)
                await asyncio.sleep(pause_s)

    async def _count_failure(self, piece: Piece, error: MorulaError, attempt_count: int) -> None:
        log.warning("piece failed", stage=piece.stage, shard=piece.number, reason=error.reason, detail=str(error))
        if attempt_count >= ATTEMPT_LIMIT or not isinstance(error, WORTH_ANOTHER_ATTEMPT):
            await self._note(shards.fail_shard, piece)
            raise error

    async def _note(self, query: Callable[..., None], piece: Piece, *args: object, **kwargs: object) -> None:
        await self._ledger.write(query, self._job_id, piece.stage, piece.number, *args, **kwargs)


def _counts(error: MorulaError) -> bool:
    return isinstance(error, ServiceDied) or not isinstance(error, Unavailable)
