"""Pictures are drawn for who waits for them."""

import asyncio
from typing import Any

import pytest
from fastapi import Request

from morula.common.errors import Cancelled
from morula.gateway.api.waiting import while_waited


class Connection:
    """A request whose client may go."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self._asked = False
        self.request = Request({"type": "http"}, self._receive)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_work_ends_when_its_caller_has_gone() -> None:
    connection, began, ended = Connection(), asyncio.Event(), asyncio.Event()

    async def draw() -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    asked = asyncio.create_task(while_waited(connection.request, draw()))
    await began.wait()
    connection.gone.set()
    with pytest.raises(Cancelled):
        await asked
    await asyncio.wait_for(ended.wait(), 60)


async def test_who_waits_gets_the_result_or_the_error() -> None:
    async def draw() -> bytes:
        return b"jpeg"

    async def fail() -> bytes:
        raise RuntimeError("broken")

    assert await while_waited(Connection().request, draw()) == b"jpeg"
    with pytest.raises(RuntimeError, match="broken"):
        await while_waited(Connection().request, fail())
