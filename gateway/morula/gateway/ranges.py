"""Objects of the store as answers: whole or a range, immutable, never read into memory as a whole.

The digest is checked before the first byte is sent, and the bytes are read from the same open file.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from morula.common.arrays import reading
from morula.common.errors import ArtifactMissing
from morula.common.store import Store
from morula.v1.artifact_pb2 import ObjectRef

CHUNK_BYTES = 1024**2
IMMUTABLE = "private, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

Headers = dict[str, str]


async def send_object(
    request: Request,
    store: Store,
    ref: ObjectRef,
    media_type: str,
    *,
    begin: Callable[[BinaryIO], int] | None = None,
    filename: str | None = None,
) -> Response:
    """The object, or its bytes from `begin` on; or the range of these that the request asks for."""
    headers = _headers(ref.sha256)
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    if _is_known(request, headers):
        return Response(status_code=304, headers=headers)
    stream, skip = await asyncio.to_thread(_opened, store, ref, begin)
    size = ref.size_bytes - skip
    status, start, stop = _part(request, size, headers)
    if status == 416:
        stream.close()
        return Response(status_code=416, headers=headers)
    return StreamingResponse(_chunks(stream, skip + start, stop - start), status, headers, media_type)


def send_bytes(request: Request, body: bytes, media_type: str, etag: str) -> Response:
    """A small immutable answer, or the range of it that the request asks for."""
    headers = _headers(etag)
    if _is_known(request, headers):
        return Response(status_code=304, headers=headers)
    status, start, stop = _part(request, len(body), headers)
    return Response(body[start:stop], status, headers, media_type if status != 416 else None)


def array_begin(stream: BinaryIO) -> int:
    """Offset of the numbers in an .npy file."""
    with reading("the array"):
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        read(stream)
    return stream.tell()


def _headers(etag: str) -> Headers:
    return {"ETag": f'"{etag}"', "Cache-Control": IMMUTABLE, "Accept-Ranges": "bytes"}


def _is_known(request: Request, headers: Headers) -> bool:
    return request.headers.get("if-none-match") == headers["ETag"]


def _part(request: Request, size: int, headers: Headers) -> tuple[int, int, int]:
    """Status, start and stop of the bytes to send; adds their headers."""
    same = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    wanted = _wanted(request.headers.get("range"), size) if same else None
    start, stop = wanted or (0, size)
    if wanted is not None and start >= stop:
        headers["Content-Range"] = f"bytes */{size}"
        return 416, 0, 0
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    return (200 if wanted is None else 206), start, stop


def _opened(store: Store, ref: ObjectRef, begin: Callable[[BinaryIO], int] | None) -> tuple[BinaryIO, int]:
    """The object's open file, checked, and the offset of the bytes to send; readable even if the object is deleted."""
    with store.local_path(ref.key, ref.sha256) as path, ExitStack() as unsent:
        stream = unsent.enter_context(path.open("rb"))
        skip = begin(stream) if begin is not None else 0
        unsent.pop_all()
        return stream, skip


def _wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The requested range; None for the whole, also for several ranges and invalid ones, which may be ignored."""
    matched = _RANGE.fullmatch(header.strip()) if header else None
    if matched is None or matched.groups() == ("", ""):
        return None
    first, last = matched.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


async def _chunks(stream: BinaryIO, start: int, length: int) -> AsyncIterator[bytes]:
    with stream:
        stream.seek(start)
        while length > 0:
            chunk = await asyncio.to_thread(stream.read, min(CHUNK_BYTES, length))
            if not chunk:
                raise ArtifactMissing("a file became shorter while it was sent")
            yield chunk
            length -= len(chunk)
