"""For whom objects are kept, on both databases: what somebody uses stays, what nobody uses goes, whoever is faster."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from morula.common.errors import Busy, NotFound, Unavailable
from morula.common.folder import FolderStore
from morula.common.store import Stored
from morula.gateway import burial
from morula.gateway.burial import Burial, Deserted
from morula.gateway.ledger import artifacts, holds, objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import default_project, migrate
from morula.gateway.ledger.tables import object_use, slide_file
from morula.gateway.pipeline.units import UnitRunner, WorkUnit
from tests.servers.rows import add_job, add_slide

LATER = time.time() + 3600.0
KEY = "default/slide/cells/1.parquet"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    migrate(url)
    opened = Ledger(url)
    yield opened
    opened.close()


def keep(tx: Connection, owner: str, *keys: str) -> None:
    """As an upload, which needs no row."""
    objects.claim(tx, objects.UPLOAD, owner, keys)


def bury(ledger: Ledger, store: FolderStore) -> None:
    async def all_of_them() -> None:
        burial = Burial(ledger, store)
        for key in await ledger.read(objects.keys_to_bury, 10):
            await burial.bury(key)

    asyncio.run(all_of_them())
    with ledger.reading() as tx:
        assert objects.doomed_keys(tx, 10, LATER) == []


class Slow(FolderStore):
    """A folder that deletes when it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.told = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        self.asked.set()
        assert self.told.wait(30)
        if self.error is not None:
            raise self.error
        super().delete(key, check)


@pytest.fixture
def slow_store(ledger: Ledger, tmp_path: Path) -> Slow:
    """With a doomed object."""
    store = Slow(tmp_path / "slow")
    store.put(KEY, b"cells")
    with ledger.writing() as tx:
        objects.doom(tx, [KEY])
    return store


def test_what_another_uses_stays_and_the_last_one_dooms_it(ledger: Ledger, folder_store: FolderStore) -> None:
    for key in (KEY, "mine"):
        folder_store.put(key, b"cells")
    with ledger.writing() as tx:
        keep(tx, "a", KEY, "mine")
        keep(tx, "b", KEY)
        objects.release(tx, "a")
    bury(ledger, folder_store)
    assert [stored.key for stored in folder_store.list("")] == [KEY]
    with ledger.writing() as tx:
        objects.release(tx, "b")
    bury(ledger, folder_store)
    assert [stored.key for stored in folder_store.list("")] == []


def test_an_upload_whose_process_died_is_forgotten(ledger: Ledger) -> None:
    with ledger.writing() as tx:
        keep(tx, "a", KEY)
        objects.release_uploads(tx, before=0.0)
        assert objects.is_used(tx, KEY)
        objects.release_uploads(tx, before=time.time() + 1)
        assert objects.doomed_keys(tx, 10, LATER) == [KEY]


def test_a_stage_can_be_let_go_alone(ledger: Ledger) -> None:
    pixels = "default/slide/pixels/1.arrow"
    with ledger.writing() as tx:
        keep(tx, "a", KEY, pixels)
        objects.release(tx, "a", stage="pixels")
        assert objects.doomed_keys(tx, 10, LATER) == [pixels]
        assert objects.is_used(tx, KEY)


def test_a_claim_takes_an_object_back(ledger: Ledger, folder_store: FolderStore) -> None:
    folder_store.put(KEY, b"cells")
    with ledger.writing() as tx:
        keep(tx, "a", KEY)
        objects.release(tx, "a")
    with ledger.writing() as tx:
        keep(tx, "b", KEY)
    with ledger.writing() as tx:
        assert objects.doomed_keys(tx, 10, LATER) == []
        assert not objects.take(tx, KEY, "undertaker")
    assert folder_store.stat(KEY)


def test_what_was_doomed_while_another_claimed_it_is_not_deleted(ledger: Ledger, folder_store: FolderStore) -> None:
    """Who lets go does not see the other's claim, which is not committed."""
    folder_store.put(KEY, b"cells")
    with ledger.writing() as tx:
        keep(tx, "a", KEY)
    claimed, told = threading.Event(), threading.Event()

    def claim() -> None:
        with ledger.writing() as tx:
            keep(tx, "b", KEY)
            claimed.set()
            assert told.wait(10)

    def let_go() -> None:
        assert claimed.wait(10)
        threading.Timer(0.2, told.set).start()
        with ledger.writing() as tx:
            objects.release(tx, "a")

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(claim), threads.submit(let_go)]:
            done.result()
    bury(ledger, folder_store)
    assert folder_store.stat(KEY)


async def test_a_claim_waits_for_a_deletion_under_way_and_finds_nothing(ledger: Ledger, slow_store: Slow) -> None:
    burying = asyncio.create_task(Burial(ledger, slow_store).bury(KEY))
    await asyncio.to_thread(slow_store.asked.wait, 10)
    with pytest.raises(Busy), ledger.writing() as tx:
        keep(tx, "a", KEY)
    claiming = asyncio.create_task(ledger.patient.write(keep, "a", KEY))
    await asyncio.sleep(0.3)
    assert not claiming.done()
    slow_store.told.set()
    await claiming
    assert slow_store.stat(KEY) is None
    assert await burying
    slow_store.put(KEY, b"cells")
    assert not await Burial(ledger, slow_store).bury(KEY)


async def test_no_transaction_waits_for_a_store_that_deletes_slowly(ledger: Ledger, slow_store: Slow) -> None:
    """Else nobody could write beside it, or the database would end the transaction, and it would begin again."""
    burying = asyncio.create_task(Burial(ledger, slow_store).bury(KEY))
    await asyncio.to_thread(slow_store.asked.wait, 10)
    began = time.monotonic()
    await ledger.write(keep, "a", "default/slide/cells/2.parquet")
    assert time.monotonic() - began < 1.0
    if ledger.engine.dialect.name == "postgresql":
        with ledger.reading() as tx:
            held = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
            assert tx.execute(text(held)).scalar_one() == 0
    slow_store.told.set()
    assert await burying


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burial, "BEAT_S", 0.05)
    monkeypatch.setattr(burial, "LOST_S", 1.0)


async def free(ledger: Ledger, deserted: Deserted) -> None:
    """Look after the key until it is free; it was not at first."""
    with pytest.raises(Busy), ledger.writing() as tx:
        keep(tx, "a", KEY)
    async with asyncio.timeout(10):
        while not await ledger.read(objects.keys_to_bury, 10):
            await deserted.free()
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("impatient")
async def test_who_froze_while_deleting_leaves_the_key_and_deletes_nothing_later(
    ledger: Ledger, slow_store: Slow, tmp_path: Path
) -> None:
    deserted = Deserted(ledger)
    burying = asyncio.create_task(Burial(ledger, slow_store).bury(KEY))
    await asyncio.to_thread(slow_store.asked.wait, 10)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        await deserted.free()
        assert await ledger.read(objects.keys_to_bury, 10) == [], "its beat is heard"
        assert not await Burial(ledger, slow_store).bury(KEY)
        await asyncio.sleep(0.05)
    burying.cancel()
    await free(ledger, deserted)
    other = FolderStore(tmp_path / "slow")
    assert await Burial(ledger, other).bury(KEY)
    await ledger.write(keep, "a", KEY)
    other.put(KEY, b"made anew")
    slow_store.told.set()
    await asyncio.sleep(0.2)
    assert other.get(KEY) == b"made anew"


@pytest.mark.usefixtures("impatient")
async def test_what_a_store_that_is_away_may_have_heard_stays_taken_for_a_while(
    ledger: Ledger, slow_store: Slow
) -> None:
    slow_store.error = Unavailable("the store is away")
    slow_store.told.set()
    with pytest.raises(Unavailable):
        await Burial(ledger, slow_store).bury(KEY)
    await free(ledger, Deserted(ledger))
    slow_store.error = None
    assert await Burial(ledger, slow_store).bury(KEY)


async def test_a_key_is_free_of_which_the_store_said_something_that_nobody_foresaw(
    ledger: Ledger, slow_store: Slow
) -> None:
    slow_store.error = OSError(errno.EBUSY, "busy")
    slow_store.told.set()
    assert not await Burial(ledger, slow_store).bury(KEY)
    assert await ledger.read(objects.keys_to_bury, 10) == [], "it is let be for a while"
    await ledger.write(keep, "a", KEY)


async def test_what_is_damaged_is_dropped_though_it_is_used_unless_it_was_made_anew(
    ledger: Ledger, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path / "objects")
    stored = store.put(KEY, b"cells")
    undertaker = Burial(ledger, store)
    made = artifacts.Made(KEY, stored.sha256, stored.size_bytes, "plan")
    with ledger.writing() as tx:
        keep(tx, "a", KEY)
        artifacts.note_made(tx, [made])
    await undertaker.drop_damaged(KEY)
    assert store.stat(KEY)
    (tmp_path / "objects" / KEY).write_bytes(b"other")
    await undertaker.drop_damaged(KEY)
    assert store.stat(KEY) is None
    with ledger.writing() as tx:
        assert artifacts.find_made(tx, [KEY])[KEY]["sha256"] == stored.sha256, "what it was is known"
        keep(tx, "b", KEY)


async def test_what_was_made_of_other_bytes_is_dropped_unless_it_was_made_anew(
    ledger: Ledger, folder_store: FolderStore
) -> None:
    stored = folder_store.put(KEY, b"cells")
    undertaker = Burial(ledger, folder_store)
    with ledger.writing() as tx:
        keep(tx, "a", KEY)
        artifacts.note_made(tx, [artifacts.Made(KEY, stored.sha256, stored.size_bytes, "plan")])
    await undertaker.drop_damaged(KEY, made_of="plan")
    assert folder_store.stat(KEY)
    await undertaker.drop_damaged(KEY, made_of="another plan")
    assert folder_store.stat(KEY) is None


class Mended(FolderStore):
    """A folder in which another job makes an object anew as soon as one looks at it."""

    def __init__(self, root: Path, ledger: Ledger, anew: artifacts.Made) -> None:
        super().__init__(root)
        self._ledger, self._anew = ledger, anew

    def stat(self, key: str) -> Stored | None:
        stored = super().stat(key)
        if stored is not None and stored.sha256 != self._anew.sha256:
            self.delete(key)
            self.put(key, b"made anew")
            with self._ledger.writing() as tx:
                artifacts.note_made(tx, [self._anew])
        return stored


async def test_a_job_leaves_what_another_one_has_mended_since_it_looked(ledger: Ledger, tmp_path: Path) -> None:
    unit = WorkUnit("cells", 1, [KEY])
    anew = artifacts.Made(KEY, hashlib.sha256(b"made anew").hexdigest(), 9, unit.made_of)
    store = Mended(tmp_path / "objects", ledger, anew)
    store.put(KEY, b"made of another plan")
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, default_project(tx))
        hold = holds.take_up(tx, job_id, 0, "conductor")
        artifacts.note_made(tx, [replace(anew, made_of="another plan")])
    assert hold is not None
    runner = UnitRunner(holds.HeldLedger(ledger, hold), store, job_id)
    await runner.claim([KEY])
    assert not await runner.exists(unit)
    assert await runner.exists(unit), "it is as the other job made it"


def test_one_slide_of_many_files_does_not_stand_for_all(ledger: Ledger) -> None:
    with ledger.writing() as tx:
        project = default_project(tx)
        of_first = {"slide_id": add_slide(tx, project, "a" * 64), "sha256": "a" * 64, "size_bytes": 5}
        names = [f"{number}.dat" for number in range(9)]
        tx.execute(insert(slide_file), [{"name": name, "key": f"mrxs/{name}", **of_first} for name in names])
        add_slide(tx, project, "b" * 64)
        sample = objects.sample(tx, 8)
        assert len(sample) == 8
        assert f"default/{'b' * 64}/slide/a.svs" in sample


def test_nothing_is_kept_for_who_is_gone(ledger: Ledger) -> None:
    with pytest.raises(NotFound), ledger.writing() as tx:
        objects.claim(tx, "job", "nobody", [KEY])
    with ledger.reading() as tx:
        assert tx.execute(select(object_use)).all() == []


def test_only_what_the_newest_run_claimed_is_the_jobs_own(ledger: Ledger) -> None:
    """Its former runs, of an earlier version, may have made other artifacts, which nobody makes again."""
    newer = "default/slide/cells/2.parquet"
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, default_project(tx))
        objects.claim(tx, "job", job_id, [KEY, newer])
        artifacts.note_made(tx, [artifacts.Made(key, "a" * 64, 5, "plan") for key in (KEY, newer)])
        assert holds.take_up(tx, job_id, 0, "conductor")
        objects.claim(tx, "job", job_id, [newer])
        assert [row["key"] for row in artifacts.made_by(tx, job_id)] == [newer]
        assert objects.is_used(tx, KEY)


async def test_more_keys_are_claimed_than_a_statement_takes(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    migrate(url)
    ledger = Ledger(url)
    await ledger.write(keep, "a", *(f"default/slide/cells/{number}" for number in range(66_000)))
    with ledger.reading() as tx:
        assert objects.owners_of_many(tx, objects.UPLOAD, 65_999) == ["a"]
    ledger.close()
