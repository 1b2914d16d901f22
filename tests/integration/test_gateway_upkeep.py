"""What is kept for a while only, what nothing names, and whose a store is, on both grounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS
from sqlalchemy import create_engine, insert, update

from morula.common.errors import PermissionDenied, Unavailable
from morula.common.folder import FolderStore
from morula.common.store import Store, open_store
from morula.common.testing import write_slide
from morula.gateway import burial, own_store
from morula.gateway import caretaker as care
from morula.gateway.caretaker import Caretaker, Forget
from morula.gateway.ledger import labels, objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import migrate
from morula.gateway.ledger.tables import label_layer, object_use, project
from morula.gateway.settings import GatewaySettings
from morula.gateway.sweep import delete_orphans, take_stock
from morula.gateway.workflow_pruning import forget_ended
from tests.integration.test_gateway_ledger import add_labelling
from tests.servers.ceph import S3Server
from tests.servers.gateway import MAKERS, as_part, gateway, services
from tests.servers.rows import add_slide

LATER = time.time() + 3600.0
NO_GRACE_S = -3600.0
STAGES = ("class", "label_confidence", "model")
PROJECT = "default"
KEY = "default/s/cells/a"
SERVICES = tuple(MAKERS)


async def nothing(_before: float) -> int:
    return 0


@dataclass
class Ground:
    """A database and a store."""

    ledger: Ledger
    store: Store

    def lying(self, prefix: str = f"{PROJECT}/") -> list[str]:
        return sorted(seen.key for seen in self.store.survey(prefix))

    def caretaker(self, forget: Forget = nothing) -> Caretaker:
        return Caretaker(GatewaySettings(), self.ledger.patient, self.store, PROJECT, forget)


@pytest.fixture(params=["sqlite and folder", "postgresql and s3"])
def ground_here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    url, store = f"sqlite:///{tmp_path}/ledger.sqlite", FolderStore(tmp_path / "objects")
    opened: Store = store
    if request.param == "postgresql and s3":
        server: S3Server = request.getfixturevalue("s3_server")
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
        keys = {"access_key": server.access_key, "secret_key": server.secret_key}
        opened = open_store(request.getfixturevalue("s3_url"), cache_dir=tmp_path / "cache", **keys)
    migrate(url)
    ledger = Ledger(url)
    yield Ground(ledger, opened)
    ledger.close()


def test_a_sweep_finds_what_nothing_names_and_nothing_else(ground_here: Ground) -> None:
    ledger, store = ground_here.ledger, ground_here.store
    for key in ("default/s/cells/used", "default/s/cells/doomed", "default/s/cells/lost", "other/s/cells/theirs"):
        store.put(key, key.encode())
    with ledger.writing() as tx:
        objects.claim(tx, objects.UPLOAD, "u", ["default/s/cells/used"])
        objects.doom(tx, ["default/s/cells/doomed"])
    stock = take_stock(ledger, store, PROJECT, NO_GRACE_S)
    found = {name: [one.key.rpartition("/")[2] for one in heap] for name, heap in vars(stock).items()}
    assert found == {"used": ["used"], "doomed": ["doomed"], "orphans": ["lost"], "young": []}
    assert [one.key for one in take_stock(ledger, store, PROJECT).young] == ["default/s/cells/lost"]
    assert delete_orphans(ledger, store, stock.orphans) == 1
    assert "default/s/cells/lost" not in ground_here.lying()
    assert store.stat("other/s/cells/theirs")


def test_a_sweep_leaves_what_is_stored_meanwhile(ground_here: Ground) -> None:
    """An upload finds an old orphan under its key and takes it over, after the sweep has seen it."""
    ledger, store = ground_here.ledger, ground_here.store
    store.put("default/s/slide/a.svs", b"slide")
    stock = take_stock(ledger, store, PROJECT, NO_GRACE_S)
    with ledger.writing() as tx:
        objects.claim(tx, objects.UPLOAD, "u", ["default/s/slide/a.svs"])
    assert delete_orphans(ledger, store, stock.orphans) == 0
    assert store.stat("default/s/slide/a.svs")


async def test_old_layers_and_pictures_go_and_the_newest_stay(ground_here: Ground) -> None:
    ledger, store = ground_here.ledger, ground_here.store
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, PROJECT)
        keys = [f"default/s/{stage}/{seq}.bin" for seq in range(1, 30) for stage in STAGES]
        for seq in range(1, 30):
            learnt = {f"{stage}_layer": {"key": f"default/s/{stage}/{seq}.bin"} for stage in STAGES} | {"sure_count": 3}
            row = {"labelling_id": labelling_id, "seq": seq, "cluster_count": 4, "learned_s": 0.1}
            tx.execute(insert(label_layer).values(learnt=learnt, **row))
        objects.claim(tx, "labelling", labelling_id, [*keys, "default/s/sheet/old", "default/s/sheet/new"])
        long_ago = time.time() - 60 * 24 * 3600
        just_now = ("default/s/sheet/new", "default/s/class/2.bin")
        tx.execute(update(object_use).where(object_use.c.key.not_in(just_now)).values(since=long_ago))
    for key in (*keys, "default/s/sheet/old", "default/s/sheet/new"):
        store.put(key, key.encode())
    caretaker = ground_here.caretaker()
    await caretaker.prune()
    running = asyncio.create_task(caretaker.run())
    while await ledger.read(objects.doomed_keys, 1, LATER):  # noqa: ASYNC110 rows are all that shows it
        await asyncio.sleep(0.05)
    running.cancel()
    newest = [f"default/s/{stage}/{seq}.bin" for seq in range(10, 30) for stage in STAGES]
    assert ground_here.lying() == sorted([*newest, *just_now])
    with ledger.reading() as tx:
        assert labels.get_layer(tx, labelling_id, 10)


async def test_an_engine_that_is_away_holds_up_nothing_else(
    ground_here: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = create_engine(f"sqlite:///{tmp_path}/nowhere/engine.sqlite")
    asked = asyncio.Event()

    async def forget(_before: float) -> int:
        asked.set()
        with away.connect():
            return 0

    ground_here.store.put("default/s/cells/doomed", b"cells")
    with ground_here.ledger.writing() as tx:
        objects.doom(tx, ["default/s/cells/doomed"])
    running = asyncio.create_task(ground_here.caretaker(forget).run())
    async with asyncio.timeout(20):
        await asked.wait()
        while ground_here.lying():  # noqa: ASYNC110 the store is all that shows it
            await asyncio.sleep(0.05)
    running.cancel()
    assert not [one for one in caplog.records if one.exc_info]


class Refusing(FolderStore):
    """A folder in which one object cannot be deleted."""

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        if key.endswith("/stuck"):
            raise PermissionDenied("not this one", key=key)
        super().delete(key, check)


async def test_what_cannot_be_deleted_holds_up_nothing_else(ground_here: Ground, tmp_path: Path) -> None:
    ground_here.store = Refusing(tmp_path / "refusing")
    for key in ("default/s/cells/stuck", "default/s/cells/other"):
        ground_here.store.put(key, b"cells")
    with ground_here.ledger.writing() as tx:
        objects.doom(tx, ["default/s/cells/stuck", "default/s/cells/other"])
    caretaker = ground_here.caretaker()
    await caretaker.leave_mark()
    assert await caretaker.bury() == 2
    assert ground_here.lying() == ["default/s/cells/stuck"]
    assert await caretaker.bury() == 0, "it is let be for a while"
    with ground_here.ledger.reading() as tx:
        assert objects.doomed_keys(tx, 10, LATER) == ["default/s/cells/stuck"]


async def test_no_object_goes_while_another_database_may_use_it(
    ground_here: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burial, "LOST_S", 3.0)
    monkeypatch.setattr(care, "POLL_S", 0.05)
    ledger, store = ground_here.ledger, ground_here.store
    store.put("default/s/cells/shared", b"cells")
    with ledger.writing() as tx:
        objects.doom(tx, ["default/s/cells/shared"])
        tx.execute(update(project).values(created_at=1.0))
        theirs = own_store.mark_of(tx, PROJECT)
        tx.execute(update(project).values(created_at=2.0))
        mine = own_store.mark_of(tx, PROJECT)
    own_store.leave_mark(store, theirs)
    caretaker = ground_here.caretaker()
    await caretaker.leave_mark()
    assert await caretaker.bury() == 0
    # Who had begun to delete it before is gone; somebody needs it.
    await ledger.write(objects.take, "default/s/cells/shared", "killed")
    running = asyncio.create_task(caretaker.run())
    async with asyncio.timeout(30):
        await ledger.patient.write(objects.claim, objects.UPLOAD, "u", ["default/s/cells/shared"])
    running.cancel()
    with ledger.writing() as tx:
        objects.release(tx, "u")
    assert (own_store.others(store, mine), ground_here.lying()) == ([theirs], ["default/s/cells/shared"])
    store.delete(theirs)
    again = ground_here.caretaker()
    await again.leave_mark()
    assert await again.bury() == 1
    assert ground_here.lying() == []


def test_a_store_without_the_mark_of_a_database_that_has_objects_is_away(ground_here: Ground) -> None:
    """A mount point whose disk is away; the bucket of somebody else."""
    ledger, store = ground_here.ledger, ground_here.store
    with ledger.writing() as tx:
        mark = own_store.mark_of(tx, PROJECT)
    own = own_store.OwnStore(store, ledger, mark)
    own.put(KEY, b"a slide")
    assert ground_here.lying("databases/") == [mark], "a database without objects takes the store that it finds"
    with ledger.writing() as tx:
        slide_id = add_slide(tx, PROJECT)
        objects.claim(tx, "slide", slide_id, [KEY])
    store.delete(mark)
    assert own_store.OwnStore(store, ledger, mark).get(KEY) == b"a slide"
    assert own_store.OwnStore(store, ledger, mark).stat("default/s/slide/none") is None
    assert ground_here.lying("databases/") == [mark], "a store from before there were marks has the objects"
    for key in (mark, KEY):
        store.delete(key)
    asks: list[Callable[[Store], object]] = [
        lambda other: other.stat(KEY),
        lambda other: other.get(KEY),
        lambda other: other.local_path(KEY).__enter__(),
        lambda other: other.open(KEY).__enter__(),
        lambda other: other.verify(KEY, "0" * 64),
        lambda other: other.put(KEY, b"new"),
        lambda other: other.put_large(KEY, b"new"),
        lambda other: other.delete(KEY),
        lambda other: list(other.list("")),
        lambda other: list(other.survey("")),
    ]
    for ask in asks:
        with pytest.raises(Unavailable, match="is its disk mounted"):
            ask(own_store.OwnStore(store, ledger, mark))
    assert [*ground_here.lying(), *ground_here.lying("databases/")] == []
    own_store.leave_mark(store, mark)
    assert own_store.OwnStore(store, ledger, mark).put(KEY, b"new").created, "so it is taken for an empty one"


async def test_nothing_is_taken_in_or_deleted_while_another_store_lies_there(tmp_path: Path) -> None:
    write_slide(tmp_path / "tiny.tiff", 512, 512)
    async with services(tmp_path, without=SERVICES) as running:
        async with gateway(running, tmp_path) as client:
            own = client.components.store
            own.put(KEY, b"cells")
            with client.ledger.writing() as tx:
                add_slide(tx, PROJECT)
        objects_here = tmp_path / "objects"
        elsewhere = objects_here.rename(tmp_path / "elsewhere")
    async with services(tmp_path, without=SERVICES) as running, gateway(running, tmp_path) as client:
        with client.ledger.writing() as tx:
            objects.doom(tx, [KEY])
        assert (await client.http.get("/readyz")).json()["writable"] == {"scratch": True, "store": False}
        answer = await client.http.post("/v1/slides", files=as_part(tmp_path / "tiny.tiff"))
        assert (answer.status_code, answer.json()["reason"]) == (503, "UNAVAILABLE")
        assert "is its disk mounted" in answer.json()["detail"]
        await asyncio.sleep(1.5)
        with client.ledger.reading() as tx:
            assert objects.doomed_keys(tx, 10, LATER) == [KEY]
        objects_here.rename(tmp_path / "bare")
        elsewhere.rename(objects_here)
        await asyncio.to_thread(client.components.store.delete, KEY)
        assert client.components.store.stat(KEY) is None


async def test_the_engine_forgets_what_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 512, 512)
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        job = await client.run((await client.upload(path))["id"])
        known: list[Any] = await DBOS.list_workflows_async()
        assert [one.workflow_id.partition(":")[0] for one in known] == [job["id"]]
        while not await forget_ended(client.ledger.patient, time.time() + 60):  # noqa: ASYNC110 its last step may be under way
            await asyncio.sleep(0.05)
        assert await DBOS.list_workflows_async() == []
        assert (await client.job(job["id"]))["state"] == "succeeded"
