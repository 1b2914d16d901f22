"""A segmenter with a network, a process of its own: told to stop it loses no shard, killed it leaves no half of one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.common.folder import FolderStore
from morula.common.formats import read_cells
from morula.common.models import ModelSpec
from morula.common.rpc import channel
from morula.common.testing import FakeShard, fake_shard
from morula.common.weights import WeightsFolder
from morula.onebox.machine import any_port
from morula.v1 import segmenter_pb2, segmenter_pb2_grpc
from tests.contract.rpc_services import SERVING
from tests.contract.test_segmenter_networks import FAMILY, GENEROUS, UNET, request_for

SHARDS = 3
TIMEOUT_S = 120
CROPS = re.compile(r"^morula_network_crops_total (\S+)$", re.MULTILINE)


@dataclass
class Segmenter:
    """A running process and a channel to it."""

    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel
    metrics_url: str

    def call(self, request: segmenter_pb2.SegmentShardRequest) -> grpc.aio.UnaryUnaryCall:  # type: ignore[type-arg]
        """A job's call: it answers with its first headers once it is taken, and the channel never repeats it."""
        stub = segmenter_pb2_grpc.SegmenterServiceStub(self.channel)
        return stub.SegmentShard(request, timeout=TIMEOUT_S, metadata=(("x-job-id", "job"),))

    async def crops_seen(self) -> float:
        async with httpx.AsyncClient(trust_env=False) as client:
            found = CROPS.search((await client.get(self.metrics_url)).text)
        return float(found[1]) if found else 0.0


@asynccontextmanager
async def segmenter(store: Path, weights: Path) -> AsyncIterator[Segmenter]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MORULA_")}
    with tempfile.TemporaryDirectory(prefix="mo-", dir="/tmp") as sockets:
        address, port = f"unix:{sockets}/s", any_port()
        settings = {"ADDRESS": address, "STORE_URL": store.as_uri(), "WEIGHTS_DIR": str(weights), "DEVICE": "cpu"}
        settings |= {"METRICS_PORT": str(port), "THREADS": "1"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "morula.segmenter", env=plain | {f"MORULA_{k}": v for k, v in settings.items()}
        )
        try:
            async with channel(address) as open_channel:
                watch = health_pb2_grpc.HealthStub(open_channel).Watch(
                    health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=TIMEOUT_S
                )
                while (await watch.read()).status != SERVING:
                    pass
                watch.cancel()
                yield Segmenter(process, open_channel, f"http://127.0.0.1:{port}/metrics")
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@dataclass
class Work:
    """Shards, a network that was added, and what they come to where nothing happens to them."""

    shards: list[FakeShard]
    model: ModelSpec
    weights: Path

    def requests(self, store: FolderStore) -> list[segmenter_pb2.SegmentShardRequest]:
        keys = [f"p/s/cells/{n}.parquet" for n in range(SHARDS)]
        return [
            request_for(store, shard, self.model, key, **GENEROUS) for shard, key in zip(self.shards, keys, strict=True)
        ]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    weights = tmp_path_factory.mktemp("weights")
    shards = [fake_shard(halo_px=0, seed=seed) for seed in range(SHARDS)]
    return Work(shards, WeightsFolder(weights).add(FAMILY, [("network", UNET)]), weights)


@dataclass
class Drained:
    """What a segmenter that was told to stop still did."""

    digests: list[str]
    cell_counts: list[int]
    exit_code: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drained(work: Work, tmp_path_factory: pytest.TempPathFactory) -> Drained:
    root = tmp_path_factory.mktemp("drained")
    async with segmenter(root, work.weights) as served:
        calls = [served.call(request) for request in work.requests(FolderStore(root))]
        for call in calls:
            await call.initial_metadata()
        served.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*calls)
        exit_code = await asyncio.wait_for(served.process.wait(), TIMEOUT_S)
    return Drained([one.cells.sha256 for one in answers], [one.cell_count for one in answers], exit_code)


@pytest.mark.slow
def test_sigterm_loses_none_of_three_shards(drained: Drained) -> None:
    assert drained.exit_code == 0
    assert all(drained.cell_counts)


@pytest.mark.slow
async def test_kill_9_in_the_middle_of_a_shard_leaves_no_half_of_it(
    work: Work, drained: Drained, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path)
    requests = work.requests(store)
    async with segmenter(tmp_path, work.weights) as served:
        first = await served.call(requests[0])
        seen = await served.crops_seen()
        calls = [served.call(request) for request in requests[1:]]
        while await served.crops_seen() == seen:
            pass
        served.process.kill()
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    visible = {stored.key: stored.sha256 for stored in store.list("p/s/cells")}
    assert visible == {first.cells.key: first.cells.sha256}, "of three shards, one was done"
    assert read_cells(store.get(first.cells.key)).num_rows == first.cell_count

    async with segmenter(tmp_path, work.weights) as again:
        answers = [await again.call(request) for request in requests]
    assert answers[0] == first
    assert [one.cells.sha256 for one in answers] == drained.digests
