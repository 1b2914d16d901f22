"""For whom objects are kept, on both databases: what somebody uses stays, what nobody uses goes, whoever is faster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from morula.common.errors import NotFound, Unavailable
from morula.common.folder import FolderStore
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
    with ledger.writing() as tx:
        for key in objects.doomed_keys(tx, 10, LATER):
            objects.bury(tx, key, store.delete)
        assert objects.doomed_keys(tx, 10, LATER) == []


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
        objects.bury(tx, KEY, folder_store.delete)
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


def test_a_claim_waits_for_a_deletion_under_way_and_finds_nothing(ledger: Ledger, folder_store: FolderStore) -> None:
    folder_store.put(KEY, b"cells")
    with ledger.writing() as tx:
        objects.doom(tx, [KEY])
    deleting, seen = threading.Event(), threading.Event()

    def delete(key: str) -> None:
        deleting.set()
        assert not seen.wait(0.3), "a claim was made while the object was being deleted"
        folder_store.delete(key)

    def bury_slowly() -> None:
        with ledger.writing() as tx:
            objects.bury(tx, KEY, delete)

    def claim() -> object:
        assert deleting.wait(10)
        with ledger.writing() as tx:
            keep(tx, "a", KEY)
        seen.set()
        return folder_store.stat(KEY)

    with ThreadPoolExecutor(2) as threads:
        buried, found = threads.submit(bury_slowly), threads.submit(claim)
        buried.result()
        assert found.result() is None


def test_what_cannot_be_deleted_stays_doomed(ledger: Ledger) -> None:
    def away(_key: str) -> None:
        raise Unavailable("the store is away")

    with ledger.writing() as tx:
        objects.doom(tx, [KEY])
    with pytest.raises(Unavailable), ledger.writing() as tx:
        objects.bury(tx, KEY, away)
    with ledger.reading() as tx:
        assert objects.doomed_keys(tx, 10, LATER) == [KEY]


def test_nothing_is_kept_for_who_is_gone(ledger: Ledger) -> None:
    with pytest.raises(NotFound), ledger.writing() as tx:
        objects.claim(tx, "job", "nobody", [KEY])
    with ledger.reading() as tx:
        assert tx.execute(select(object_use)).all() == []
