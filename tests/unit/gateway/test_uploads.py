"""Uploads: what a form may bring, and what a reference may reach."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from morula.common.errors import Busy, InvalidArgument, StorageFull, TooLarge, Unavailable
from morula.gateway import uploads
from morula.gateway.uploads import FILE_COUNT_LIMIT, IncomingFile, Uploads, safe_name
from tests.servers.disks import filled, read_only, small_disk

BOUNDARY = "b0undary"


def form(*parts: tuple[str, str | None, bytes], end: bool = True) -> bytes:
    body = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


async def in_pieces(body: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def content_of(part: IncomingFile) -> bytes:
    return part.path.read_bytes()


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


async def test_files_and_fields_arrive_whole_and_hashed(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9
    body = form(("file", "a.svs", content), ("name", None, "Größe".encode()), ("file", "b/c.dat", b""))
    upload = await Uploads(tmp_path, store_is_local=True).receive(in_pieces(body), CONTENT_TYPE, len(body))
    assert upload.fields == {"name": "Größe"}
    assert [(part.name, part.size_bytes) for part in upload.parts] == [("a.svs", len(content)), ("b/c.dat", 0)]
    assert content_of(upload.parts[0]) == content
    assert upload.parts[0].sha256 == hashlib.sha256(content).hexdigest()
    Uploads(tmp_path, store_is_local=True).discard(upload)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(("name", None, b"x")), id="no file"),
        pytest.param(form(("other", "a.svs", b"x")), id="file under another name"),
        pytest.param(form(("file", "../../etc/passwd", b"x")), id="path that leaves"),
        pytest.param(form(("file", "a.svs", b"x" * 100), end=False)[:-40], id="cut short"),
        pytest.param(b"no form at all", id="nonsense"),
        pytest.param(b"", id="empty"),
    ],
)
async def test_a_form_that_makes_no_sense_leaves_nothing(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        await Uploads(tmp_path, store_is_local=True).receive(in_pieces(body), CONTENT_TYPE, len(body))
    assert left_in(tmp_path) == []


async def test_a_body_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        await Uploads(tmp_path, store_is_local=True).receive(in_pieces(b"x"), "application/octet-stream", 1)
    assert left_in(tmp_path) == []


async def test_a_slide_of_too_many_files_is_refused(tmp_path: Path) -> None:
    body = form(*[("file", f"{number}.dat", b"") for number in range(FILE_COUNT_LIMIT + 1)])
    with pytest.raises(TooLarge):
        await Uploads(tmp_path, store_is_local=True).receive(in_pieces(body, 1 << 16), CONTENT_TYPE, len(body))
    assert left_in(tmp_path) == []


async def test_a_slide_larger_than_the_disk_is_refused_before_it_comes(tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        await Uploads(tmp_path, store_is_local=True).receive(
            in_pieces(form(("file", "a.svs", b"x"))), CONTENT_TYPE, 1 << 60
        )


DISK_BYTES = 8 << 20


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(uploads, "SPARE_BYTES", 0)
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


async def test_what_was_promised_room_keeps_it_and_who_comes_later_hears_so_before_he_sends(disk: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    body = form(("file", "a.svs", b"x" * (3 << 20)))

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:1000]
        begun.set()
        await go_on.wait()
        yield body[1000:]

    async def unread() -> AsyncIterator[bytes]:
        pytest.fail("it was read")
        yield b""

    room = Uploads(disk, store_is_local=True)
    first = asyncio.create_task(room.receive(slowly(), CONTENT_TYPE, len(body)))
    await begun.wait()
    with pytest.raises(Busy):
        await room.receive(unread(), CONTENT_TYPE, 2 << 20)
    with pytest.raises(StorageFull):
        await room.receive(unread(), CONTENT_TYPE, DISK_BYTES)
    go_on.set()
    room.discard(await first)
    room.discard(await room.receive(in_pieces(body, 1 << 16), CONTENT_TYPE, len(body)))


async def test_room_is_asked_for_once_where_the_store_is_elsewhere(disk: Path) -> None:
    body = form(("file", "a.svs", b"x" * (DISK_BYTES * 5 // 8)))
    with pytest.raises(StorageFull):
        await Uploads(disk, store_is_local=True).receive(in_pieces(body, 1 << 16), CONTENT_TYPE, len(body))
    await Uploads(disk, store_is_local=False).receive(in_pieces(body, 1 << 16), CONTENT_TYPE, len(body))


async def test_a_form_of_unknown_length_leaves_the_room_of_others(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "CHECK_BYTES", 1 << 20)
    with pytest.raises(StorageFull):
        await Uploads(disk, store_is_local=True).receive(
            in_pieces(form(("file", "a.svs", b"x" * (5 << 20))), 1 << 16), CONTENT_TYPE, 0
        )
    assert left_in(disk) == []


async def test_a_disk_that_takes_nothing_is_told_as_that(disk: Path) -> None:
    body = form(("file", "a.svs", b"x" * 100_000))
    with filled(disk), pytest.raises(StorageFull):
        await Uploads(disk, store_is_local=True).receive(in_pieces(body, 1 << 14), CONTENT_TYPE, 0)
    with read_only(disk), pytest.raises(Unavailable):
        await Uploads(disk, store_is_local=True).receive(in_pieces(body, 1 << 14), CONTENT_TYPE, len(body))


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "/a", "a//b", ".hidden", "a\\..\\b", "a\nb", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        safe_name(name)
