"""Cancels work for a request when its client has gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from morula.common.errors import Cancelled

T = TypeVar("T")


async def while_waited(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work; when the client closes the connection, the work and its calls are cancelled."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_closed(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled("The caller no longer waits.")
    finally:
        task.cancel()
        gone.cancel()


async def _closed(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
