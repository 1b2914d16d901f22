"""Work that is worth nothing to anybody but the one who asked for it, and who may have gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from morula.common.errors import Cancelled

T = TypeVar("T")


async def while_waited(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; it is cancelled, and with it the calls that it makes, when the connection is closed."""
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
