"""For whom objects are kept, on both databases: what somebody uses stays, what nobody uses goes, whoever is faster."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

from morula.common.errors import Busy, NotFound, Unavailable
from morula.common.folder import FolderStore
from morula.gateway import burial
from morula.gateway.burial import Burial
from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import migrate
from morula.gateway.ledger.tables import object_use

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
        for key in await burial.due(10):
            await burial.bury(key)

    asyncio.run(all_of_them())
    with ledger.reading() as tx:
        assert objects.doomed_keys(tx, 10, LATER) == []


class Slow(FolderStore):
    """A folder that deletes when it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.told = threading.Event(), threading.Event()
        self.away = False

    def delete(self, key: str) -> None:
        self.asked.set()
        assert self.told.wait(30)
        if self.away:
            raise Unavailable("the store is away")
        super().delete(key)


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


async def test_what_somebody_was_deleting_who_is_lost_is_deleted_once_more(
    ledger: Ledger, slow_store: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burial, "BEAT_S", 0.05)
    monkeypatch.setattr(burial, "LOST_S", 0.5)
    dying, other = Burial(ledger, slow_store), Burial(ledger, slow_store)
    burying = asyncio.create_task(dying.bury(KEY))
    await asyncio.to_thread(slow_store.asked.wait, 10)
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        assert await other.due(10) == [], "its beat is heard"
        assert not await other.bury(KEY)
        await asyncio.sleep(0.05)
    burying.cancel()
    while not await other.due(10):
        with pytest.raises(Busy), ledger.writing() as tx:
            keep(tx, "a", KEY)
        await asyncio.sleep(0.1)
    slow_store.told.set()
    assert await other.bury(KEY)
    assert slow_store.stat(KEY) is None
    await ledger.write(keep, "a", KEY)


async def test_what_a_store_that_is_away_may_have_heard_stays_taken(ledger: Ledger, slow_store: Slow) -> None:
    slow_store.away = True
    slow_store.told.set()
    undertaker = Burial(ledger, slow_store)
    with pytest.raises(Unavailable):
        await undertaker.bury(KEY)
    with pytest.raises(Busy), ledger.writing() as tx:
        keep(tx, "a", KEY)
    slow_store.away = False
    assert await undertaker.due(10) == [KEY]
    assert await undertaker.bury(KEY)


def test_nothing_is_kept_for_who_is_gone(ledger: Ledger) -> None:
    with pytest.raises(NotFound), ledger.writing() as tx:
        objects.claim(tx, "job", "nobody", [KEY])
    with ledger.reading() as tx:
        assert tx.execute(select(object_use)).all() == []
