"""Objects of the store as answers: whole or a range, immutable, never read into memory as a whole."""

import asyncio
import re
from collections.abc import AsyncIterator

import numpy as np
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from morula.common.store import Store
from morula.v1.artifact_pb2 import ObjectRef

CHUNK_BYTES = 1024**2
IMMUTABLE = "private, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def send_object(
    request: Request, store: Store, ref: ObjectRef, media_type: str, *, skip: int = 0, filename: str | None = None
) -> Response:
    """The object from byte `skip` on, or the range of it that the request asks for."""
    etag = f'"{ref.sha256}"'
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Accept-Ranges": "bytes"}
    if filename is not None:
        headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    size = ref.size_bytes - skip
    wanted = _wanted(request.headers.get("range"), size)
    if wanted is None:
        headers["Content-Length"] = str(size)
        return StreamingResponse(_chunks(store, ref.key, skip, size), 200, headers, media_type)
    start, stop = wanted
    if start >= stop:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return StreamingResponse(_chunks(store, ref.key, skip + start, stop - start), 206, headers, media_type)


def send_bytes(request: Request, body: bytes, media_type: str, etag: str) -> Response:
    """A small immutable answer."""
    headers = {"ETag": f'"{etag}"', "Cache-Control": IMMUTABLE}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type)


async def array_offset(store: Store, ref: ObjectRef) -> int:
    """Where the numbers of an .npy begin."""
    with await asyncio.to_thread(store.open, ref.key) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        read(stream)
        return stream.tell()


def _wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The range asked for; None where all is, as for several ranges or nonsense, which may be ignored."""
    matched = _RANGE.fullmatch(header.strip()) if header else None
    if matched is None or matched.groups() == ("", ""):
        return None
    first, last = matched.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


async def _chunks(store: Store, key: str, start: int, length: int) -> AsyncIterator[bytes]:
    while length > 0:
        chunk = await asyncio.to_thread(store.read_range, key, start, min(CHUNK_BYTES, length))
        if not chunk:
            return
        yield chunk
        start += len(chunk)
        length -= len(chunk)
