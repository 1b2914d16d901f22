"""Services and calls that the tests of the wire share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.common import errors, tracing
from morula.common.rpc import Server, from_rpc_error
from morula.common.settings import ServiceSettings
from morula.v1 import artifact_pb2, clusterer_pb2, clusterer_pb2_grpc, tiler_pb2, tiler_pb2_grpc

REF = artifact_pb2.ObjectRef(key="k", sha256="s")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TIMEOUT_S = 120
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Tiler(tiler_pb2_grpc.TilerServiceServicer):
    """Answers RenderRegion as it is told to."""

    def __init__(self, *raises: Exception, jpeg: bytes = b"jpeg") -> None:
        self.raises = list(raises)
        self.jpeg = jpeg
        self.call_count = 0
        self.seen_ids: dict[str, Any] = {}

    async def RenderRegion(self, request: Any, context: Any) -> tiler_pb2.RenderRegionResponse:  # noqa: N802 - the generated name
        self.call_count += 1
        self.seen_ids = {**structlog.contextvars.get_contextvars(), "trace_id": tracing.current_trace_id()}
        if self.raises:
            raise self.raises.pop(0)
        return tiler_pb2.RenderRegionResponse(jpeg=self.jpeg)


class Clusterer(clusterer_pb2_grpc.ClustererServiceServicer):
    """Streams some progress, then fails if told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    async def SettleCells(self, request: Any, context: Any) -> AsyncIterator[clusterer_pb2.SettleCellsResponse]:  # noqa: N802 - the generated name
        for number in range(3):
            yield clusterer_pb2.SettleCellsResponse(progress=artifact_pb2.Progress(done_count=number))
        if self.failure:
            raise self.failure


def render_request(name: str = "a.svs") -> tiler_pb2.RenderRegionRequest:
    slide = artifact_pb2.SlideRef(digest="d", entry=name, files=[artifact_pb2.SlideFile(name=name, object=REF)])
    return tiler_pb2.RenderRegionRequest(slide=slide, width_px=1, height_px=1, downsample=1)


def settle_request() -> clusterer_pb2.SettleCellsRequest:
    model = artifact_pb2.ModelRef(name="watershed", revision="r")
    identity = clusterer_pb2.CellIdentity(slide_digest="d", object_kind="nucleus", model=model, mpp=0.5, slide_mpp=0.25)
    shard_list = artifact_pb2.ObjectRef(key="s", sha256="0" * 64, size_bytes=1)
    return clusterer_pb2.SettleCellsRequest(identity=identity, index_key="i", outlines_key="o", shard_list=shard_list)


async def render(client: grpc.aio.Channel, request: Any = None, **options: Any) -> Any:
    stub = tiler_pb2_grpc.TilerServiceStub(client)
    return await stub.RenderRegion(request or render_request(), timeout=TIMEOUT_S, **options)


async def failure_of(call: Any) -> errors.MorulaError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def health(client: grpc.aio.Channel, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(client)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
    return int(reply.status)


@asynccontextmanager
async def serving(settings: ServiceSettings, *services: object, **options: Any) -> AsyncIterator[Server]:
    server = Server(settings, services, **options)
    try:
        await server.start()
        yield server
    finally:
        await server.stop(0)
