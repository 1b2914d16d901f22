"""A segmenter with whose help a job stays where it is for as long as a test likes."""

from __future__ import annotations

import asyncio
from typing import Any

from morula.common.errors import Busy
from morula.segmenter.servicer import SegmenterServicer


class BusySegmenter(SegmenterServicer):
    """The real segmenter, which refuses every shard until it is told to take them."""

    takes = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked = asyncio.Event()

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.asked.set()
        if not self.takes:
            raise Busy("not yet", retry_after_s=0.01)
        return await super().SegmentShard(request, context)
