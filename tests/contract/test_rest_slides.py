"""Slides over REST: taken in, refused, looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from morula.common.errors import Conflict
from morula.common.testing import write_slide
from morula.gateway.intake import Description, Intake
from morula.gateway.ledger import tables
from morula.gateway.references import refer
from tests.contract.rest_world import World, check_problem, until
from tests.servers.gateway import as_part

pytestmark = pytest.mark.asyncio(loop_scope="module")


def described(slide: dict[str, Any]) -> dict[str, Any]:
    """The slide without its labellings, which come and go."""
    return {name: value for name, value in slide.items() if name != "labellings"}


async def test_a_slide_is_described(world: World) -> None:
    slide = world.slide
    assert (slide["name"], slide["stain"], slide["mpp"]) == ("Tiny", "H&E", pytest.approx(0.5))
    assert not slide["stain_detected"], "a person said it"
    assert (slide["width_px"], slide["height_px"], slide["levels"][1]["downsample"]) == (1100, 800, 4)
    assert described((await world.http.get(f"/v1/slides/{slide['id']}")).json()) == described(slide)
    assert slide["id"] in {one["id"] for one in (await world.http.get("/v1/slides")).json()["slides"]}


async def test_the_same_bytes_are_the_same_slide(world: World) -> None:
    path = world.client.components.settings.folders["scans"] / "tiny.tiff"
    before = world.objects()
    again = await world.http.post("/v1/slides", files=as_part(path))
    assert (again.status_code, again.json()["id"]) == (200, world.slide["id"])
    referred = await world.http.post("/v1/slides", json={"path": "scans/tiny.tiff"})
    assert (referred.status_code, referred.json()["id"]) == (200, world.slide["id"])
    assert world.objects() == before


async def test_a_slide_whose_stain_nobody_knows_is_looked_at_when_it_comes_again(world: World) -> None:
    """It may have come before colours were read."""
    asked = {"path": "scans/other.tiff"}
    slide = (await world.http.post("/v1/slides", json=asked)).json()
    with world.client.components.ledger.writing() as tx:
        tx.execute(
            update(tables.slide).where(tables.slide.c.id == slide["id"]).values(stain=None, stain_detected=False)
        )
    again = (await world.http.post("/v1/slides", json=asked)).json()
    assert (again["id"], again["stain"], again["stain_detected"]) == (slide["id"], "H&E", True)


async def test_what_is_stated_of_a_known_slide_is_kept_or_refused(world: World) -> None:
    reference = {"path": "scans/other.tiff"}
    first = (await world.http.post("/v1/slides", json=reference)).json()
    said = {"name": "Other", "stain": "IHC", "tissue": "colon", "mpp": 0.25}
    again = await world.http.post("/v1/slides", json=reference | said)
    assert again.status_code == 200
    assert (first["stain"], first["stain_detected"]) == ("H&E", True), "its colours tell"
    assert again.json() == first | said | {"mpp_assumed": False, "stain_detected": False}
    assert (await world.http.post("/v1/slides", json=reference)).json() == again.json()
    known = {"path": "scans/tiny.tiff", "mpp": world.slide["mpp"], "name": "Tiny"}
    assert described((await world.http.post("/v1/slides", json=known)).json()) == described(world.slide)
    problem = check_problem(await world.http.post("/v1/slides", json=known | {"mpp": 0.25}), 409, "CONFLICT")
    assert "slide_mpp" in problem["detail"]


async def test_a_key_is_taken_in_once_however_many_ask(world: World, tmp_path: Path) -> None:
    write_slide(tmp_path / "a.tiff", 512, 512, seed=21)
    world.running.store.put("default/here/a.tiff", tmp_path / "a.tiff")
    body = {"key": "default/here/a.tiff"}
    answers = await asyncio.gather(*(world.http.post("/v1/slides", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_two_gateways_take_the_same_key_in_once(world: World, tmp_path: Path) -> None:
    write_slide(tmp_path / "b.tiff", 512, 512, seed=22)
    world.running.store.put("default/here/b.tiff", tmp_path / "b.tiff")
    components = world.client.components
    intakes = [Intake(components.ledger, components.workers, components.store, components.project) for _ in range(2)]
    taken = await asyncio.gather(*(one.take_key("default/here/b.tiff", Description()) for one in intakes))
    assert sorted(created for _, created in taken) == [False, True]
    assert len({row["id"] for row, _ in taken}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"path": "scans/../rest.sqlite"}, 400),
        ({"path": "/etc/passwd"}, 400),
        ({"path": "nowhere/a.svs"}, 400),
        ({"key": "../../etc/passwd"}, 400),
        ({"key": "default/none.svs"}, 404),
        ({}, 400),
        ({"path": "scans/tiny.tiff", "key": "a"}, 400),
        ({"path": "scans/tiny.tiff", "colour": "red"}, 422),
        ({"path": "scans/tiny.tiff", "mpp": -1}, 422),
    ],
)
async def test_references_that_make_no_sense(world: World, body: dict[str, Any], status: int) -> None:
    before = world.objects()
    answer = await world.http.post("/v1/slides", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.objects() == before


async def test_what_is_no_slide_leaves_nothing(world: World, tmp_path: Path) -> None:
    before, listed = world.objects(), (await world.http.get("/v1/slides")).json()
    for content in (b"", b"no slide at all", b"II*\0" + b"\xff" * 4000):
        answer = await world.http.post("/v1/slides", files={"file": ("broken.svs", content)})
        check_problem(answer, 400, "SLIDE_UNREADABLE")
    assert world.objects() == before
    assert (await world.http.get("/v1/slides")).json() == listed
    assert world.uploads() == []


async def test_broken_slides_are_refused_and_the_server_lives(world: World, data_dir: Path) -> None:
    before = world.objects()
    for name in ("unopenable.tiff", "unreadable.svs", "broken.svs"):
        answer = await world.http.post("/v1/slides", files=as_part(data_dir / "slides" / "broken" / name))
        check_problem(answer, 400, "SLIDE_UNREADABLE")
    assert world.objects() == before
    assert (await world.http.get("/healthz")).status_code == 200


async def test_forms_that_make_no_sense(world: World) -> None:
    twice = [("file", ("a.dcm", b"x")), ("file", ("a.dcm", b"y"))]
    assert (await world.http.post("/v1/slides", files=twice)).status_code == 400
    assert (await world.http.post("/v1/slides", files={"file": ("../a", b"x")})).status_code == 400
    assert (await world.http.post("/v1/slides", files={"image": ("a", b"x")})).status_code == 400
    bad_scale = await world.http.post("/v1/slides", files={"file": ("a.svs", b"x")}, data={"mpp": "wide"})
    assert bad_scale.status_code == 422
    nonsense = {"content-type": "multipart/form-data; boundary=x"}
    assert (await world.http.post("/v1/slides", content=b"nonsense", headers=nonsense)).status_code == 400


async def test_two_slides_in_one_form_are_told_apart(world: World) -> None:
    before = world.objects()
    path = world.client.components.settings.folders["scans"] / "tiny.tiff"
    two = [("file", ("a.tiff", path.read_bytes())), ("file", ("b.tiff", b"x"))]
    problem = check_problem(await world.http.post("/v1/slides", files=two), 400, "INVALID_ARGUMENT")
    assert "2 slides (a.tiff, b.tiff)" in problem["detail"]
    assert (world.objects(), world.uploads()) == (before, [])


async def test_a_slide_by_reference_that_changes_meanwhile_is_refused(world: World, tmp_path: Path) -> None:
    write_slide(tmp_path / "growing.tiff", 512, 512, seed=31)
    before = world.objects()
    parts = refer({"lab": tmp_path}, "lab/growing.tiff")
    with (tmp_path / "growing.tiff").open("ab") as slide:
        slide.write(b"more")
    with pytest.raises(Conflict, match="changed while it was read"):
        await world.client.components.intake.take_files(parts, Description())
    assert world.objects() == before


async def test_what_was_taken_in_stays_as_it_was_whatever_becomes_of_the_folder(world: World) -> None:
    path = world.client.components.settings.folders["scans"] / "leaving.tiff"
    write_slide(path, 512, 512, seed=32)
    slide = (await world.http.post("/v1/slides", json={"path": "scans/leaving.tiff"})).json()
    path.write_bytes(b"another")
    path.unlink()
    picture = await world.http.get(f"/v1/slides/{slide['id']}/thumbnail.jpeg?max_px=99")
    assert picture.content[:2] == b"\xff\xd8"


async def test_none_of_ten_uploads_at_once_is_sent_away_for_the_others(world: World, tmp_path: Path) -> None:
    for seed in range(10):
        write_slide(tmp_path / f"{seed}.tiff", 300, 300, seed=seed + 100)
    forms = [as_part(tmp_path / f"{seed}.tiff") for seed in range(10)]
    answers = await asyncio.gather(*(world.http.post("/v1/slides", files=part) for part in forms))
    assert [answer.status_code for answer in answers] == [201] * 10


async def test_an_upload_that_is_broken_off_leaves_nothing_but_one_line(world: World, url: str) -> None:
    address = httpx.URL(url)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.svs"\r\n\r\n'
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"POST /v1/slides HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n")
        writer.write(b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + head + b"x" * 100_000)
        await writer.drain()
        await until(lambda: bool(world.uploads()))
        writer.close()
        await writer.wait_closed()
        await until(lambda: bool(lines) and not world.uploads())
    (gone,) = [line for line in lines if line.get("path")]
    assert (gone["event"], gone["path"], gone["method"], gone["status"]) == ("request", "/v1/slides", "POST", 499)


async def test_a_name_that_is_a_file_and_a_folder_is_refused(world: World) -> None:
    files = [("file", (name, b"x")) for name in ("s.mrxs", "s", "s/Slidedat.ini")]
    check_problem(await world.http.post("/v1/slides", files=files), 400, "INVALID_ARGUMENT")


async def test_too_large_an_upload_is_refused(world: World) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(65 << 20)}
    check_problem(await world.http.post("/v1/slides", content=b"--x", headers=headers), 413, "TOO_LARGE")


async def test_tiles_and_thumbnails_are_pictures_for_good(world: World) -> None:
    tile = await world.http.get(f"/v1/slides/{world.slide['id']}/tiles/0/1_0.jpeg")
    assert (tile.status_code, tile.headers["content-type"], tile.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert "immutable" in tile.headers["cache-control"]
    headers = {"if-none-match": tile.headers["etag"]}
    assert (await world.http.get(str(tile.url), headers=headers)).status_code == 304
    thumbnail = await world.http.get(f"/v1/slides/{world.slide['id']}/thumbnail.jpeg?max_px=256")
    assert thumbnail.content[:2] == b"\xff\xd8"
    for place in ("0/3_0", "0/-1_0", "99/0_0", "-1/0_0"):
        missing = await world.http.get(f"/v1/slides/{world.slide['id']}/tiles/{place}.jpeg")
        check_problem(missing, 404, "NOT_FOUND")
    assert (await world.http.get(f"/v1/slides/{world.slide['id']}/thumbnail.jpeg?max_px=99999")).status_code == 400


async def test_label_and_macro_pictures_have_no_address(world: World) -> None:
    for name in ("label", "macro", "associated-images"):
        assert (await world.http.get(f"/v1/slides/{world.slide['id']}/{name}.jpeg")).status_code == 404
