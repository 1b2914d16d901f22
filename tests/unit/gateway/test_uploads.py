"""Uploads: what a form may bring, and what a reference may reach."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from morula.common.errors import InvalidArgument, TooLarge
from morula.gateway.uploads import FILE_COUNT_LIMIT, Part, receive, safe_name

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


def content_of(part: Part) -> bytes:
    return part.path.read_bytes()


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


async def test_files_and_fields_arrive_whole_and_hashed(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9
    body = form(("file", "a.svs", content), ("name", None, "Größe".encode()), ("file", "b/c.dat", b""))
    upload = await receive(in_pieces(body), CONTENT_TYPE, len(body), tmp_path)
    assert upload.fields == {"name": "Größe"}
    assert [(part.name, part.size_bytes) for part in upload.parts] == [("a.svs", len(content)), ("b/c.dat", 0)]
    assert content_of(upload.parts[0]) == content
    assert upload.parts[0].sha256 == hashlib.sha256(content).hexdigest()
    upload.discard()
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
        await receive(in_pieces(body), CONTENT_TYPE, len(body), tmp_path)
    assert left_in(tmp_path) == []


async def test_a_body_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        await receive(in_pieces(b"x"), "application/octet-stream", 1, tmp_path)
    assert left_in(tmp_path) == []


async def test_a_slide_of_too_many_files_is_refused(tmp_path: Path) -> None:
    body = form(*[("file", f"{number}.dat", b"") for number in range(FILE_COUNT_LIMIT + 1)])
    with pytest.raises(TooLarge):
        await receive(in_pieces(body, 1 << 16), CONTENT_TYPE, len(body), tmp_path)
    assert left_in(tmp_path) == []


async def test_a_slide_larger_than_the_disk_is_refused_before_it_comes(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await receive(in_pieces(form(("file", "a.svs", b"x"))), CONTENT_TYPE, 1 << 60, tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/../b", "/a", "a//b", ".hidden", "a\\..\\b", "a\nb", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        safe_name(name)
