"""What happens to artifacts behind the gateway's back is told in words, and never served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from morula.common.errors import Unavailable
from morula.common.testing import write_slide
from morula.gateway import conductor
from tests.contract.rest_world import World, check_problem
from tests.servers.gateway import as_part, gateway, services
from tests.servers.jobs import classical

LAYERS = ("leaf", "layout", "confidence")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world of one's own, to be broken."""
    write_slide(tmp_path / "tiny.tiff", 700, 600, seed=7)
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        slide = await client.upload(tmp_path / "tiny.tiff")
        job = await client.run(slide["id"])
        assert job["state"] == "succeeded", job
        yield World(client, running, slide, job)


def zero(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 3)
        stream.write(bytes(400))


def cut(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [zero, cut, Path.unlink])
async def test_no_byte_is_served_that_is_not_the_jobs(
    world: World, tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    files = world.client.ok(await world.http.get(f"/v1/jobs/{world.job['id']}/files"))["files"]
    places = [f"/v1/jobs/{world.job['id']}/files/{file['name']}" for file in files]
    places += [f"{world.clustering}/layers/{layer}" for layer in LAYERS]
    places += [f"{world.clustering}/blocks/0", f"{world.clustering}/cells?bbox=0,0,500,500"]
    places.append(f"/v1/labellings/{world.job['labelling_id']}/cells.geojson.gz")
    before = {place: await world.http.get(place) for place in places}
    assert {answer.status_code for answer in before.values()} == {200}
    for stored in list(world.running.store.list("default/")):
        if "/slide/" not in stored.key:
            damage(tmp_path / "objects" / stored.key)
    for place in places:
        for headers in ({}, {"range": "bytes=0-9"}):
            problem = check_problem(await world.http.get(place, headers=headers), 410, "GONE")
            assert "retry the job" in problem["detail"]
        if "etag" in before[place].headers:
            again = await world.http.get(place, headers={"if-none-match": before[place].headers["etag"]})
            assert again.status_code == 304, "whoever has the right bytes may keep them"


async def test_pictures_of_a_slide_that_is_gone_say_so(world: World, tmp_path: Path) -> None:
    for stored in list(world.running.store.list(f"default/{world.slide['digest']}/slide/")):
        world.running.store.delete(stored.key)
    await world.running.stop("tiler")  # which has the slide open
    await world.running.start("tiler")
    problem = check_problem(await world.http.get(f"/v1/slides/{world.slide['id']}/thumbnail.jpeg"), 410, "GONE")
    assert "upload the slide again" in problem["detail"]


@pytest.mark.parametrize("damage", [zero, cut, Path.unlink])
async def test_a_slide_that_is_brought_again_is_whole_again(
    world: World, tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    (stored,) = world.running.store.list(f"default/{world.slide['digest']}/slide/")
    damage(tmp_path / "objects" / stored.key)
    again = await world.client.upload(tmp_path / "tiny.tiff")
    assert again["id"] == world.slide["id"]
    assert world.running.store.get(stored.key, stored.sha256) == (tmp_path / "tiny.tiff").read_bytes()


async def test_a_slide_by_key_whose_object_is_gone_lies_where_it_is_brought(world: World, tmp_path: Path) -> None:
    write_slide(tmp_path / "b.tiff", 512, 512, seed=22)
    world.running.store.put("default/here/b.tiff", tmp_path / "b.tiff")
    slide = world.client.ok(await world.http.post("/v1/slides", json={"key": "default/here/b.tiff"}))
    world.running.store.delete("default/here/b.tiff")
    assert (await world.client.upload(tmp_path / "b.tiff"))["id"] == slide["id"]
    assert (await world.http.get(f"/v1/slides/{slide['id']}/thumbnail.jpeg")).status_code == 200
    assert world.running.store.stat("default/here/b.tiff") is None, "that is the person's place"


async def test_an_upload_that_fails_takes_nothing_with_it_that_others_have(world: World, tmp_path: Path) -> None:
    """Two databases over one store."""
    (stored,) = world.running.store.list(f"default/{world.slide['digest']}/slide/")
    other_root = tmp_path / "other"
    other_root.mkdir()
    async with gateway(world.running, other_root) as other:
        assert other.components.project == world.client.components.project
        await world.running.stop("tiler")
        answer = await other.http.post("/v1/slides", files=as_part(tmp_path / "tiny.tiff"))
        assert answer.status_code == 503
        assert world.running.store.stat(stored.key) == stored
        await world.running.start("tiler")
    assert (await world.http.get(f"/v1/slides/{world.slide['id']}/thumbnail.jpeg")).status_code == 200


async def test_a_sheet_that_is_damaged_is_drawn_again(world: World, tmp_path: Path) -> None:
    place = f"{world.clustering}/sheet.jpeg?rows=0,1,2"
    sheet = await world.http.get(place)
    (stored,) = (one for one in world.running.store.list("default/") if "/sheet/" in one.key)
    zero(tmp_path / "objects" / stored.key)
    assert (await world.http.get(place)).content == sheet.content
    assert world.running.store.get(stored.key, stored.sha256) == sheet.content


async def test_a_range_of_a_block_is_that_range(world: World) -> None:
    place = f"{world.clustering}/blocks/0"
    whole = await world.http.get(place)
    for asked, start, stop in (("0-3", 0, 4), ("5-", 5, None), ("-7", -7, None)):
        part = await world.http.get(place, headers={"range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, whole.content[start:stop])
        assert part.headers["etag"] == whole.headers["etag"]
    beyond = await world.http.get(place, headers={"range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    other = {"range": "bytes=0-3", "if-range": '"another"'}
    assert (await world.http.get(place, headers=other)).content == whole.content


async def test_a_job_that_many_ask_for_at_once_is_made_whole_once(world: World) -> None:
    for one in [one for one in world.running.store.list("default/") if "/table/" in one.key]:
        world.running.store.delete(one.key)
    asked = classical(world.slide["id"])
    answers = await asyncio.gather(*(world.http.post("/v1/jobs", json=asked) for _ in range(4)))
    assert all(answer.is_success for answer in answers), [answer.text for answer in answers]
    assert {answer.json()["id"] for answer in answers} == {world.job["id"]}
    ended = await world.client.ended(world.job["id"])
    assert (ended["state"], ended["attempt"]) == ("succeeded", world.job["attempt"] + 1)
    place = f"/v1/jobs/{ended['id']}/files"
    files = (await world.http.get(place)).json()["files"]
    assert files
    assert [(await world.http.get(f"{place}/{file['name']}")).status_code for file in files] == [200] * len(files)


async def test_what_is_damaged_is_out_of_the_way_before_the_job_is_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, retry = world.running.store, f"/v1/jobs/{world.job['id']}/retry"
    (index,) = [one for one in store.list("default/") if "/index/" in one.key]
    delete = store.delete

    def slowly(key: str, check: Callable[[], None] | None = None) -> None:
        if key == index.key:
            time.sleep(3.0)
        delete(key, check)

    def away(key: str, check: Callable[[], None] | None = None) -> None:
        raise Unavailable("the disk can only be read")

    monkeypatch.setattr(conductor, "LOST_S", 1.0)
    monkeypatch.setattr(store, "delete", slowly)
    zero(tmp_path / "objects" / index.key)
    assert (await world.http.post(retry)).status_code == 202
    ended = await world.client.ended(world.job["id"])
    assert (ended["state"], ended["attempt"], store.stat(index.key)) == ("succeeded", 2, index)
    monkeypatch.setattr(store, "delete", away)
    zero(tmp_path / "objects" / index.key)
    check_problem(await world.http.post(retry), 503, "UNAVAILABLE")
    assert (await world.client.job(world.job["id"]))["state"] == "succeeded"
