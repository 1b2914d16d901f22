"""Objects as answers."""

from __future__ import annotations

import os
from typing import BinaryIO

import pytest
from fastapi import Request

from morula.common.errors import ArtifactInvalid
from morula.common.folder import FolderStore
from morula.common.refs import ref_of
from morula.gateway.ranges import array_begin, send_object


async def test_an_object_that_does_not_begin_as_it_should_is_closed(folder_store: FolderStore) -> None:
    opened: list[BinaryIO] = []

    def begin(stream: BinaryIO) -> int:
        opened.append(stream)
        return array_begin(stream)

    ref = ref_of(folder_store.put("default/x/leaf/a.npy", os.urandom(64)))
    request = Request({"type": "http", "headers": []})
    with pytest.raises(ArtifactInvalid):
        await send_object(request, folder_store, ref, "application/octet-stream", begin=begin)
    assert [stream.closed for stream in opened] == [True]
