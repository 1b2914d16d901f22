"""The six services as the gateway calls them: typed calls, and one table of deadlines.

Every failure is raised as a MorulaError. The pipeline waits for a service that is away or busy by itself; what a person
asks waits as long as it is set to, and is answered at once where nothing is set.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.common.errors import (
    Busy,
    DeadlineExceeded,
    Internal,
    MorulaError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from morula.common.rpc import channel, from_rpc_error
from morula.common.settings import Tls
from morula.common.wire import died_under_way, was_answered
from morula.v1 import (
    clusterer_pb2,
    clusterer_pb2_grpc,
    embedder_pb2,
    embedder_pb2_grpc,
    evaluator_pb2,
    evaluator_pb2_grpc,
    labeller_pb2,
    labeller_pb2_grpc,
    segmenter_pb2,
    segmenter_pb2_grpc,
    tiler_pb2,
    tiler_pb2_grpc,
)

T = TypeVar("T")
Report = Callable[[int, int], Awaitable[None]]

# Deadline of the first calls on shards; later calls have five times what the slowest recent one of the model took.
FIRST_SHARD_S = 600.0
LEAST_SHARD_S = 120.0
RECENT_COUNT = 20
INTAKE_PATIENCE_S = 300.0
AWAY_PAUSE_S = 0.5
TELL_EVERY_S = 5.0

DEADLINES_S = {
    "InspectSlide": 60.0,
    "PlanSlide": 600.0,
    "RenderRegion": 20.0,
    "RenderCells": 30.0,
    "SettleCells": 4 * 3600.0,
    "ClusterCells": 12 * 3600.0,
    "SplitCluster": 600.0,
    "RegroupCells": 3600.0,
    "AssignCells": 3600.0,
    "CutTree": 5.0,
    "LearnLabels": 5.0,
    "NextPage": 5.0,
    "InspectTruth": 120.0,
    "SampleTiles": 300.0,
    "EvaluateClustering": 4 * 3600.0,
    "CompareEvaluations": 600.0,
    "Check": 2.0,
}


class ServiceDied(Unavailable):
    """The service went away during the call."""


class ServiceAway(Unavailable):
    """Nothing answers at the service's address, as where it is scaled to zero."""


@dataclass(frozen=True)
class Absence:
    """What becomes of a call whose service is away."""

    tell: Callable[[str], Awaitable[None]] | None = None
    """Is told the service's name, so that whoever scales services knows that one is wanted."""
    patience_s: float = 0.0
    """How long what a person asks waits for it."""
    gpu_services: frozenset[str] = frozenset()
    """Those whose pods wait for a GPU."""


ABSENCE = Absence()


@dataclass(frozen=True)
class Addresses:
    """Addresses of the services."""

    tiler: str
    segmenter: str
    embedder: str
    clusterer: str
    labeller: str
    evaluator: str


class Workers:
    """Channels to the services. Belongs to the event loop that it was made on."""

    def __init__(
        self, addresses: Addresses, *, token: str | None = None, tls: Tls | None = None, absence: Absence = ABSENCE
    ) -> None:
        names = [field.name for field in fields(Addresses)]
        self._channels = {name: channel(getattr(addresses, name), token=token, tls=tls) for name in names}
        self._absence = absence
        self._told: dict[str, float] = {}
        self._tiler = tiler_pb2_grpc.TilerServiceStub(self._channels["tiler"])
        self._segmenter = segmenter_pb2_grpc.SegmenterServiceStub(self._channels["segmenter"])
        self._embedder = embedder_pb2_grpc.EmbedderServiceStub(self._channels["embedder"])
        self._clusterer = clusterer_pb2_grpc.ClustererServiceStub(self._channels["clusterer"])
        self._labeller = labeller_pb2_grpc.LabellerServiceStub(self._channels["labeller"])
        self._evaluator = evaluator_pb2_grpc.EvaluatorServiceStub(self._channels["evaluator"])
        self._recent: dict[tuple[str, str], deque[float]] = {}

    async def close(self) -> None:
        """Close all channels; calls under way are cancelled."""
        for open_channel in self._channels.values():
            await open_channel.close(None)

    async def serving(self) -> dict[str, bool]:
        """For each service, whether its health check says that it serves."""
        answers = await asyncio.gather(*(self._serves(open_channel) for open_channel in self._channels.values()))
        return dict(zip(self._channels, answers, strict=True))

    async def _serves(self, open_channel: grpc.aio.Channel) -> bool:
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await health_pb2_grpc.HealthStub(open_channel).Check(request, timeout=DEADLINES_S["Check"])
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def inspect_slide(self, request: tiler_pb2.InspectSlideRequest) -> tiler_pb2.InspectSlideResponse:
        return await self._call_patiently("tiler", self._tiler.InspectSlide, request, DEADLINES_S["InspectSlide"])

    async def plan_slide(self, request: tiler_pb2.PlanSlideRequest) -> tiler_pb2.PlanSlideResponse:
        return await self._call("tiler", self._tiler.PlanSlide, request, DEADLINES_S["PlanSlide"])

    async def cut_shard(self, request: tiler_pb2.CutShardRequest) -> tiler_pb2.CutShardResponse:
        return await self._call_shard("tiler", self._tiler.CutShard, request, ("CutShard", ""))

    async def measure_objects(
        self, request: segmenter_pb2.MeasureObjectsRequest
    ) -> segmenter_pb2.MeasureObjectsResponse:
        return await self._call_shard(
            "segmenter", self._segmenter.MeasureObjects, request, ("MeasureObjects", request.model.name)
        )

    async def segment_shard(self, request: segmenter_pb2.SegmentShardRequest) -> segmenter_pb2.SegmentShardResponse:
        return await self._call_shard(
            "segmenter", self._segmenter.SegmentShard, request, ("SegmentShard", request.model.name)
        )

    async def embed_cells(self, request: embedder_pb2.EmbedCellsRequest) -> embedder_pb2.EmbedCellsResponse:
        return await self._call_shard(
            "embedder", self._embedder.EmbedCells, request, ("EmbedCells", request.model.name)
        )

    async def settle_cells(
        self, request: clusterer_pb2.SettleCellsRequest, report: Report
    ) -> clusterer_pb2.SettleCellsResult:
        stream: AsyncIterator[Any] = self._clusterer.SettleCells(request, timeout=DEADLINES_S["SettleCells"])
        result: clusterer_pb2.SettleCellsResult = await self._result("clusterer", stream, report)
        return result

    async def cluster_cells(
        self, request: clusterer_pb2.ClusterCellsRequest, report: Report
    ) -> clusterer_pb2.ClusterCellsResult:
        stream = self._clusterer.ClusterCells(request, timeout=DEADLINES_S["ClusterCells"])
        result: clusterer_pb2.ClusterCellsResult = await self._result("clusterer", stream, report)
        return result

    async def split_cluster(self, request: clusterer_pb2.SplitClusterRequest) -> clusterer_pb2.SplitClusterResponse:
        return await self._call("clusterer", self._clusterer.SplitCluster, request, DEADLINES_S["SplitCluster"])

    async def regroup_cells(self, request: clusterer_pb2.RegroupCellsRequest) -> clusterer_pb2.RegroupCellsResponse:
        return await self._call("clusterer", self._clusterer.RegroupCells, request, DEADLINES_S["RegroupCells"])

    async def assign_cells(self, request: clusterer_pb2.AssignCellsRequest) -> clusterer_pb2.AssignCellsResponse:
        return await self._call("clusterer", self._clusterer.AssignCells, request, DEADLINES_S["AssignCells"])

    async def render_region(self, request: tiler_pb2.RenderRegionRequest) -> tiler_pb2.RenderRegionResponse:
        return await self._call_patiently("tiler", self._tiler.RenderRegion, request, DEADLINES_S["RenderRegion"])

    async def render_cells(self, request: tiler_pb2.RenderCellsRequest) -> tiler_pb2.RenderCellsResponse:
        return await self._call_patiently("tiler", self._tiler.RenderCells, request, DEADLINES_S["RenderCells"])

    async def cut_tree(self, request: labeller_pb2.CutTreeRequest) -> labeller_pb2.CutTreeResponse:
        return await self._call("labeller", self._labeller.CutTree, request, DEADLINES_S["CutTree"])

    async def learn_labels(self, request: labeller_pb2.LearnLabelsRequest) -> labeller_pb2.LearnLabelsResponse:
        return await self._call("labeller", self._labeller.LearnLabels, request, DEADLINES_S["LearnLabels"])

    async def next_page(self, request: labeller_pb2.NextPageRequest) -> labeller_pb2.NextPageResponse:
        return await self._call("labeller", self._labeller.NextPage, request, DEADLINES_S["NextPage"])

    async def inspect_truth(self, request: evaluator_pb2.InspectTruthRequest) -> evaluator_pb2.InspectTruthResponse:
        return await self._call_patiently(
            "evaluator", self._evaluator.InspectTruth, request, DEADLINES_S["InspectTruth"]
        )

    async def sample_tiles(self, request: evaluator_pb2.SampleTilesRequest) -> evaluator_pb2.SampleTilesResponse:
        return await self._call_patiently("evaluator", self._evaluator.SampleTiles, request, DEADLINES_S["SampleTiles"])

    async def evaluate_clustering(
        self, request: evaluator_pb2.EvaluateClusteringRequest, report: Report
    ) -> evaluator_pb2.EvaluateClusteringResult:
        stream = self._evaluator.EvaluateClustering(request, timeout=DEADLINES_S["EvaluateClustering"])
        result: evaluator_pb2.EvaluateClusteringResult = await self._result("evaluator", stream, report)
        return result

    async def compare_evaluations(
        self, request: evaluator_pb2.CompareEvaluationsRequest
    ) -> evaluator_pb2.CompareEvaluationsResponse:
        method, deadline_s = self._evaluator.CompareEvaluations, DEADLINES_S["CompareEvaluations"]
        return await self._call_patiently("evaluator", method, request, deadline_s)

    async def _call(self, service: str, method: Callable[..., Awaitable[T]], request: object, deadline_s: float) -> T:
        try:
            return await method(request, timeout=deadline_s)
        except grpc.RpcError as error:
            raise await self._failure(service, error) from error

    async def _call_patiently(
        self, service: str, method: Callable[..., Awaitable[T]], request: object, deadline_s: float
    ) -> T:
        """The answer to what a person asks: it is waited for a service that has to start first."""
        until = time.monotonic() + self._absence.patience_s
        while True:
            try:
                return await self._call(service, method, request, deadline_s)
            except ServiceAway:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(AWAY_PAUSE_S)

    async def _call_shard(
        self, service: str, method: Callable[..., Awaitable[T]], request: object, kind: tuple[str, str]
    ) -> T:
        recent = self._recent.setdefault(kind, deque(maxlen=RECENT_COUNT))
        deadline_s = max(LEAST_SHARD_S, 5 * max(recent)) if recent else FIRST_SHARD_S
        started = time.monotonic()
        try:
            response = await self._call(service, method, request, deadline_s)
        except DeadlineExceeded:
            # The machine is slower than expected: this makes the next deadline five times as long.
            recent.append(deadline_s)
            raise
        recent.append(time.monotonic() - started)
        return response

    async def _result(self, service: str, stream: AsyncIterator[Any], report: Report) -> Any:
        """The result that ends a stream of progress."""
        try:
            async for response in stream:
                if response.WhichOneof("event") == "result":
                    return response.result
                await report(response.progress.done_count, response.progress.total_count)
        except grpc.RpcError as error:
            raise await self._failure(service, error) from error
        raise Internal("The service ended its answer without a result.")

    async def _failure(self, service: str, error: grpc.RpcError) -> MorulaError:
        failure = from_rpc_error(error)
        if died_under_way(error):
            return ServiceDied(failure.detail)
        if isinstance(failure, Unauthenticated | PermissionDenied):
            # That is between gateway and service: who asked the gateway did nothing wrong.
            return Unavailable(f"The {service} refuses the gateway: have both the same token? ({failure.detail})")
        if not isinstance(failure, Unavailable) or was_answered(error):
            return failure
        await self._tell_away(service)
        for_a_gpu = " It is waiting for a GPU." if service in self._absence.gpu_services else ""
        return ServiceAway(f"The {service} is away.{for_a_gpu} ({failure.detail})")

    async def _tell_away(self, service: str) -> None:
        """Say that the service is wanted; not at every try."""
        if self._absence.tell is None or time.monotonic() - self._told.get(service, -TELL_EVERY_S) < TELL_EVERY_S:
            return
        self._told[service] = time.monotonic()
        await self._absence.tell(service)


async def once_it_is_free(call: Callable[[], Awaitable[T]], patience_s: float = INTAKE_PATIENCE_S) -> T:
    """The answer to a call on what somebody brought, who need not send it again: a busy service is waited for."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return await call()
        except Busy as busy:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(busy.retry_after_s)
