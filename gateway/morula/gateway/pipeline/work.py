"""One piece of a job's work: made by a service, or found where it would lie, and written down either way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from morula.common import tracing
from morula.common.errors import (
    ArtifactChanged,
    ArtifactMissing,
    Busy,
    DeadlineExceeded,
    Internal,
    MorulaError,
    Unavailable,
)
from morula.common.keys import digest
from morula.common.refs import ref_of
from morula.common.store import Store, Stored
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.ledger import artifacts, jobs, objects, shards
from morula.gateway.ledger.holds import HeldLedger
from morula.gateway.ledger.rows import Row
from morula.gateway.pipeline.ended import piece_span
from morula.gateway.refs import row_ref
from morula.gateway.workers import ServiceDied
from morula.v1.artifact_pb2 import ObjectRef

Json = dict[str, Any]
Refs = Mapping[str, ObjectRef]
T = TypeVar("T")

ATTEMPT_LIMIT = 3
# Whatever made an attempt fail has some time to pass.
ATTEMPT_PAUSES_S = (1.0, 4.0)
# A service or a store that cannot be reached is started again by whoever watches it; until then the piece waits.
AWAY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# A service that died during the call may have died of it: such calls are counted.
WORTH_ANOTHER_ATTEMPT = (DeadlineExceeded, Internal, ServiceDied)


@dataclass(frozen=True)
class Piece:
    """A piece of work: which stage, which number, the keys of what it makes, and what that is made of."""

    stage: str
    number: int
    keys: Sequence[str]
    inputs: Sequence[ObjectRef] = ()
    passing: Sequence[str] = ()
    """Keys of what it makes for a while only."""
    besides: Sequence[str] = ()
    """Keys of what making it may leave besides."""

    @property
    def made_of(self) -> str:
        """Digest of the inputs' bytes."""
        return digest([[ref.key, ref.sha256] for ref in self.inputs])

    @property
    def folders(self) -> set[str]:
        """Where the inputs lie: one for each slide."""
        return {"/".join(ref.key.split("/")[:2]) + "/" for ref in self.inputs}


class Workbench:
    """Has pieces of one job made, each at most once as far as the store can tell.

    What is found counts only if it is what the ledger says was made, of what there is now; else it gives way and is
    made anew. So what follows from an artifact that came out otherwise is made anew as well, one after the other.
    """

    def __init__(self, ledger: HeldLedger, store: Store, job_id: str) -> None:
        self._ledger = ledger
        self._store = store
        self._burial = Burial(ledger, store)
        self._job_id = job_id
        self._waiting_for: str | None = None

    async def make(
        self,
        piece: Piece,
        find: Callable[[Refs], T],
        call: Callable[[], Awaitable[T]],
        keep: Callable[[T], Json],
    ) -> Json:
        """What is kept of a service's answer: `find` reads it where all artifacts are there and right, else `call`
        asks for it."""
        await self.claim([*piece.keys, *piece.besides])
        found = await self._find(piece)
        if found is not None:
            result = keep(await self.reach(lambda: find(found)))
            await self._note(shards.finish_shard, piece, result, written=False)
            return result
        if await self._ledger.read(shards.is_done, self._job_id, piece.stage, piece.number):
            await self._note(shards.reopen_shard, piece)

        async def kept() -> Json:
            return keep(await call())

        return await self.do(piece, kept)

    async def do(self, piece: Piece, call: Callable[[], Awaitable[Json]]) -> Json:
        """What the piece came to, made now."""
        result = await self._call(piece, call)
        stored = await self.reach(lambda: self._lying(piece.keys))
        await self._write_down(piece, stored)
        await self._note(shards.finish_shard, piece, result, written=True)
        return result

    async def ask(self, piece: Piece, call: Callable[[], Awaitable[Json]]) -> Json:
        """What a service says on the way to the piece, which is not done by it."""
        return await self._call(piece, call)

    async def claim(self, keys: Sequence[str]) -> None:
        """Have these artifacts kept for the job, before it looks for them or has them made."""
        await self._ledger.write(objects.claim, "job", self._job_id, keys)

    async def refs(self, keys: Sequence[str]) -> list[ObjectRef]:
        """These artifacts as they were made; what the ledger does not know is asked of the store."""
        known = await self._ledger.read(artifacts.find_made, keys)
        wanted = [key for key in keys if not _is_known(known.get(key))]
        stored = await self.reach(lambda: self._lying(wanted))
        asked = {one.key: ref_of(one) for one in stored}
        return [asked.get(key) or row_ref(known[key]) for key in keys]

    async def exists(self, piece: Piece) -> bool:
        """Whether the piece is done, with all that it leaves."""
        return await self._find(piece) is not None

    async def _find(self, piece: Piece) -> Refs | None:
        """What the piece makes, if all of it is there and right; what is wrong is deleted."""
        known = await self._ledger.read(artifacts.find_made, piece.keys)
        found: dict[str, ObjectRef] = {}
        for key in piece.keys:
            try:
                stored = await self.reach(partial(self._store.stat, key))
                if stored is None:
                    continue
                unsure = key not in known and await self._ledger.read(artifacts.any_remade, piece.folders)
                wrong = what_is_wrong(stored, known.get(key), piece.made_of, unsure=unsure)
            except ArtifactChanged as error:
                wrong = str(error)
            if wrong:
                log.warning("artifact gives way", key=key, detail=wrong)
                await self.outlast(partial(self._burial.drop, key))
            elif stored is not None:
                found[key] = ref_of(stored)
        if len(found) < len(piece.keys):
            return None
        if any(key not in known for key in piece.keys):
            await self._write_down(piece, found.values())
        passing = [await self.reach(partial(self._passes, key)) for key in piece.passing]
        return found if all(passing) else None

    def _passes(self, key: str) -> bool:
        try:
            return self._store.stat(key) is not None
        except ArtifactChanged as error:
            log.warning("artifact gives way", key=key, detail=str(error))
            self._store.delete(key)
            return False

    async def _write_down(self, piece: Piece, found: Iterable[Stored | ObjectRef]) -> None:
        made = [artifacts.Made(one.key, one.sha256, one.size_bytes, piece.made_of) for one in found]
        await self._ledger.write(artifacts.note_made, made)

    def _lying(self, keys: Sequence[str]) -> list[Stored]:
        """What lies in the store under these keys, all of it."""
        stored = [(key, self._store.stat(key)) for key in keys]
        for key, one in stored:
            if one is None:
                raise ArtifactMissing(f"{key} is not in the store", key=key)
        return [one for _, one in stored if one is not None]

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
        span = piece_span(piece.stage, piece.number)
        while True:
            await self._note(shards.start_shard, piece)
            try:
                with tracing.inside(span):
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


def _is_known(row: Row | None) -> bool:
    return row is not None and row["sha256"] != artifacts.UNKNOWN


def what_is_wrong(
    stored: Stored | artifacts.Made, known: Row | None, made_of: str, *, unsure: bool = False
) -> str | None:
    """Why something that was found is not what was made of what there is now; None where it is."""
    if known is None:
        return (
            "nobody wrote down what it was made of, and something it may be made of was made again" if unsure else None
        )
    if known["sha256"] != stored.sha256:
        return f"it has the digest {stored.sha256[:12]}, not {known['sha256'][:12] or 'that which it was made with'}"
    return "it was made of other bytes than there are now" if known["made_of"] != made_of else None


def _counts(error: MorulaError) -> bool:
    return isinstance(error, ServiceDied) or not isinstance(error, Unavailable)
