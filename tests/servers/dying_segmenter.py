"""A segmenter that dies of every shard, as one does that a shard takes more memory than there is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.v1 import segmenter_pb2_grpc


class Dying(segmenter_pb2_grpc.SegmenterServiceServicer):
    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(serve(ServiceSettings.model_validate({"address": sys.argv[1]}), [Dying()]))
