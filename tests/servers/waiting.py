"""A segmenter that holds a job in the middle for as long as a test needs."""

from __future__ import annotations

import asyncio
from typing import Any

from morula.common.compute import Slot
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.gateway import Services


class Waiting(SegmenterServicer):
    """The real segmenter, which waits until it is let go or its caller leaves."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.entered = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.entered.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await super().SegmentShard(request, context)


async def start_waiting(running: Services) -> Waiting:
    waiting = Waiting(running.store, Slot("segmenter"))
    await running.start("segmenter", waiting)
    return waiting
