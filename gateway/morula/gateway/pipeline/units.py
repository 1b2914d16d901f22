"""Units of a job's work: each is found in the store or made by a service, and the ledger notes that it is done."""

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
from morula.gateway.ledger.records import Record
from morula.gateway.pipeline.ended import unit_span
from morula.gateway.refs import row_ref
from morula.gateway.workers import ServiceDied
from morula.v1.artifact_pb2 import ObjectRef

Json = dict[str, Any]
Refs = Mapping[str, ObjectRef]
T = TypeVar("T")

ATTEMPT_LIMIT = 3
# Between two attempts, so that the cause of the failure can pass.
ATTEMPT_PAUSES_S = (1.0, 4.0)
# While a service or a store is away: its supervisor starts it again, and the unit waits until then.
AWAY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# A service that died during a call may have died of it, so the call counts as an attempt.
WORTH_ANOTHER_ATTEMPT = (DeadlineExceeded, Internal, ServiceDied)


@dataclass(frozen=True)
class WorkUnit:
    """One unit of a job's work: its stage, its number, the keys of what it makes, and what that is made of."""

    stage: str
    number: int
    keys: Sequence[str]
    inputs: Sequence[ObjectRef] = ()
    passing: Sequence[str] = ()
    """Keys of artifacts that it makes and that are deleted once they are not needed."""
    besides: Sequence[str] = ()
    """Keys of other artifacts that making it may leave in the store."""

    @property
    def made_of(self) -> str:
        """Digest of the keys and digests of the inputs."""
        return digest([[ref.key, ref.sha256] for ref in self.inputs])

    @property
    def folders(self) -> set[str]:
        """Folders of the inputs in the store: one for each slide."""
        return {"/".join(ref.key.split("/")[:2]) + "/" for ref in self.inputs}


class UnitRunner:
    """Has the units of one job made, and makes none again whose artifacts are in the store.

    An artifact in the store counts only if it has the digest that the ledger noted and was made of the inputs as they
    are now; otherwise it is deleted and made again. So if an artifact comes out differently when it is made again,
    everything that was made of it is made again too, stage after stage.
    """

    def __init__(self, ledger: HeldLedger, store: Store, job_id: str) -> None:
        self._ledger = ledger
        self._store = store
        self._burial = Burial(ledger, store)
        self._job_id = job_id
        self._waiting_for: str | None = None

    async def make(
        self,
        unit: WorkUnit,
        find: Callable[[Refs], T],
        call: Callable[[], Awaitable[T]],
        keep: Callable[[T], Json],
    ) -> Json:
        """The result of a unit: `find` reads the answer from the artifacts if all are there and right, else `call` asks
        the service; `keep` says what of the answer is the result."""
        await self.claim([*unit.keys, *unit.besides])
        refs = await self._find(unit)
        if refs is not None:
            result = keep(await self.reach(lambda: find(refs)))
            await self._note(shards.finish_shard, unit, result, written=False)
            return result
        if await self._ledger.read(shards.is_done, self._job_id, unit.stage, unit.number):
            await self._note(shards.reopen_shard, unit)

        async def kept() -> Json:
            return keep(await call())

        return await self.do(unit, kept)

    async def do(self, unit: WorkUnit, call: Callable[[], Awaitable[Json]]) -> Json:
        """Have the unit made now, whether or not its artifacts are there; its result."""
        result = await self._call(unit, call)
        stored = await self.reach(lambda: self._stat_all(unit.keys))
        await self._note_made(unit, stored)
        await self._note(shards.finish_shard, unit, result, written=True)
        return result

    async def ask(self, unit: WorkUnit, call: Callable[[], Awaitable[Json]]) -> Json:
        """Call a service for a unit without finishing the unit; the result of the call."""
        return await self._call(unit, call)

    async def claim(self, keys: Sequence[str]) -> None:
        """Keep these artifacts from being deleted while the job lives; done before they are looked for or made."""
        await self._ledger.write(objects.claim, "job", self._job_id, keys)

    async def refs(self, keys: Sequence[str]) -> list[ObjectRef]:
        """Key, digest and size of these artifacts as the ledger noted them; of others, as they are in the store."""
        known = await self._ledger.read(artifacts.find_made, keys)
        unknown = [key for key in keys if not _is_known(known.get(key))]
        stored = await self.reach(lambda: self._stat_all(unknown))
        in_store = {each.key: ref_of(each) for each in stored}
        return [in_store.get(key) or row_ref(known[key]) for key in keys]

    async def exists(self, unit: WorkUnit) -> bool:
        """Whether all artifacts of the unit are there and right."""
        return await self._find(unit) is not None

    async def _find(self, unit: WorkUnit) -> Refs | None:
        """The artifacts of the unit if all are there and right, else None; wrong ones are deleted."""
        known = await self._ledger.read(artifacts.find_made, unit.keys)
        right: dict[str, ObjectRef] = {}
        for key in unit.keys:
            try:
                stored = await self.reach(partial(self._store.stat, key))
                if stored is None:
                    continue
                unsure = key not in known and await self._ledger.read(artifacts.any_remade, unit.folders)
                wrong = what_is_wrong(stored, known.get(key), unit.made_of, unsure=unsure)
            except ArtifactChanged as error:
                wrong = str(error)
            if wrong:
                log.warning("artifact gives way", key=key, detail=wrong)
                await self.outlast(partial(self._burial.drop_damaged, key, made_of=unit.made_of))
            elif stored is not None:
                right[key] = ref_of(stored)
        if len(right) < len(unit.keys):
            return None
        if any(key not in known for key in unit.keys):
            await self._note_made(unit, right.values())
        passing = [await self.reach(partial(self._has_passing, key)) for key in unit.passing]
        return right if all(passing) else None

    def _has_passing(self, key: str) -> bool:
        try:
            return self._store.stat(key) is not None
        except ArtifactChanged as error:
            log.warning("artifact gives way", key=key, detail=str(error))
            self._store.delete(key)
            return False

    async def _note_made(self, unit: WorkUnit, stored: Iterable[Stored | ObjectRef]) -> None:
        made = [artifacts.Made(each.key, each.sha256, each.size_bytes, unit.made_of) for each in stored]
        await self._ledger.write(artifacts.note_made, made)

    def _stat_all(self, keys: Sequence[str]) -> list[Stored]:
        """What is in the store under these keys; ArtifactMissing if one is not."""
        stats = []
        for key in keys:
            stored = self._store.stat(key)
            if stored is None:
                raise ArtifactMissing(f"{key} is not in the store", key=key)
            stats.append(stored)
        return stats

    async def reach(self, access: Callable[[], T]) -> T:
        """The result of an access to the store, on a thread; waits while the store is away."""
        return await self.outlast(lambda: asyncio.to_thread(access))

    async def outlast(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of some work; tries again while something that it needs is away."""
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
        """Note how far a stage is; for stages that report their own progress."""
        await self._ledger.write(shards.set_progress, self._job_id, stage, done_count, total_count)

    async def add(self, stage: str, count: int) -> None:
        """Note in the ledger that a stage has so many units."""
        await self._ledger.write(shards.add_shards, self._job_id, stage, count)

    async def _call(self, unit: WorkUnit, call: Callable[[], Awaitable[Json]]) -> Json:
        away_count = attempt_count = 0
        span = unit_span(unit.stage, unit.number)
        while True:
            await self._note(shards.start_shard, unit)
            try:
                with tracing.inside(span):
                    result = await call()
            except Busy as error:
                await self._note(shards.requeue_shard, unit)
                await asyncio.sleep(error.retry_after_s)
            except MorulaError as error:
                if _counts(error):
                    attempt_count += 1
                    await self._count_failure(unit, error, attempt_count)
                    await asyncio.sleep(ATTEMPT_PAUSES_S[attempt_count - 1])
                    continue
                await self._note(shards.requeue_shard, unit)
                await self._wait(error, away_count)
                away_count += 1
            else:
                await self._tell(None)
                return result

    async def _count_failure(self, unit: WorkUnit, error: MorulaError, attempt_count: int) -> None:
        log.warning("unit failed", stage=unit.stage, shard=unit.number, reason=error.reason, detail=str(error))
        if attempt_count >= ATTEMPT_LIMIT or not isinstance(error, WORTH_ANOTHER_ATTEMPT):
            await self._note(shards.fail_shard, unit)
            raise error

    async def _wait(self, error: MorulaError, away_count: int) -> None:
        pause_s = AWAY_PAUSES_S[min(away_count, len(AWAY_PAUSES_S) - 1)]
        log.warning("something is away that a job needs", detail=str(error), pause_s=pause_s)
        await self._tell(str(error))
        await asyncio.sleep(pause_s)

    async def _tell(self, waiting_for: str | None) -> None:
        """Note what the job waits for when that changes; None once it goes on."""
        if waiting_for != self._waiting_for:
            self._waiting_for = waiting_for
            await self._ledger.write(jobs.note_job, self._job_id, waiting_for=waiting_for)

    async def _note(self, query: Callable[..., None], unit: WorkUnit, *args: object, **kwargs: object) -> None:
        await self._ledger.write(query, self._job_id, unit.stage, unit.number, *args, **kwargs)


def _is_known(row: Record | None) -> bool:
    return row is not None and row["sha256"] != artifacts.UNKNOWN


def what_is_wrong(
    stored: Stored | artifacts.Made, known: Record | None, made_of: str, *, unsure: bool = False
) -> str | None:
    """Why an artifact in the store does not count; None if it does."""
    if known is None:
        return (
            "nobody wrote down what it was made of, and something it may be made of was made again" if unsure else None
        )
    if known["sha256"] != stored.sha256:
        return f"it has the digest {stored.sha256[:12]}, not {known['sha256'][:12] or 'that which it was made with'}"
    return "it was made of other bytes than there are now" if known["made_of"] != made_of else None


def _counts(error: MorulaError) -> bool:
    return isinstance(error, ServiceDied) or not isinstance(error, Unavailable)
