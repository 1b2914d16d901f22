"""How long a shard may take follows from what shards took here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from morula.common.errors import DeadlineExceeded
from morula.gateway import workers
from morula.v1 import artifact_pb2, segmenter_pb2, segmenter_pb2_grpc
from tests.servers.gateway import services

FIRST_S = 1.0
SHORT_S = 1.5 * FIRST_S
"""The wire rounds a deadline up."""


class Slow(segmenter_pb2_grpc.SegmenterServiceServicer):
    """Answers only who has time for it; notes how long each call may take."""

    def __init__(self) -> None:
        self.allowed_s: list[float] = []

    async def SegmentShard(  # noqa: N802 - the contract's name
        self, request: segmenter_pb2.SegmentShardRequest, context: grpc.aio.ServicerContext
    ) -> segmenter_pb2.SegmentShardResponse:
        self.allowed_s.append(context.time_remaining())
        if self.allowed_s[-1] <= SHORT_S:
            await asyncio.Event().wait()
        return segmenter_pb2.SegmentShardResponse()


async def test_a_shard_that_took_too_long_is_given_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_SHARD_S", FIRST_S)
    monkeypatch.setattr(workers, "LEAST_SHARD_S", 0.0)
    slow, somewhere = Slow(), artifact_pb2.ObjectRef(key="p/s/cut/1.arrow", sha256="0" * 64, size_bytes=1)
    request = segmenter_pb2.SegmentShardRequest(
        pixels=somewhere, tiles=somewhere, model=artifact_pb2.ModelRef(name="m", revision="r"), cells_key="p/s/c/1.p"
    )
    async with services(tmp_path, without=("tiler", "segmenter", "embedder", "clusterer", "labeller")) as running:
        await running.start("segmenter", slow)
        calls = running.connect()
        try:
            with pytest.raises(DeadlineExceeded):
                await calls.segment_shard(request)
            await calls.segment_shard(request)
        finally:
            await calls.close()
    # On a busy machine the first may be over before it has arrived.
    *short_s, allowed_s = slow.allowed_s
    assert all(seconds <= SHORT_S for seconds in short_s)
    assert allowed_s > 2 * FIRST_S
