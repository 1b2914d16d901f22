"""Long calls that say how far they are: work in the slot's thread, events on the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from morula.common.compute import Checkpoint, Slot
from morula.v1 import artifact_pb2

T = TypeVar("T")
Report = Callable[[int, int, str], None]
"""How far work is: steps done, steps in all, what is done now."""


async def with_progress(
    slot: Slot, work: Callable[[Checkpoint, Report], T]
) -> AsyncIterator[artifact_pb2.Progress | T]:
    """Progress as it is reported, then exactly one result. Who stops listening stops the work."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[artifact_pb2.Progress | None] = asyncio.Queue()

    def report(done: int, total: int, stage: str) -> None:
        event = artifact_pb2.Progress(done_count=done, total_count=total, stage=stage)
        loop.call_soon_threadsafe(events.put_nowait, event)

    running = asyncio.ensure_future(slot.run(lambda checkpoint: work(checkpoint, report)))
    running.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        yield await running
    finally:
        running.cancel()
