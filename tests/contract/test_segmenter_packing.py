"""Three shards are in a segmenter at once: their crops share batches, and none is changed by its company."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from morula.common.compute import Processors, Slot
from morula.common.errors import Busy
from morula.common.folder import FolderStore
from morula.common.models import ModelSpec, add_rows
from morula.common.rpc import from_rpc_error
from morula.common.testing import FakeShard, fake_shard, running, temporary_store
from morula.networks import unet_files
from morula.networks.crop_queue import CropQueue
from morula.networks.network import Answer, Batch, computing_in
from morula.networks.unet_runtimes import unet
from morula.segmenter import cellpose_unet
from morula.segmenter.backends import MODELS
from morula.segmenter.crop_backend import CropBackend, Traits
from morula.segmenter.flows import FlowModel
from morula.segmenter.servicer import SegmenterServicer
from morula.v1 import segmenter_pb2, segmenter_pb2_grpc
from tests.contract.narrow_unet import FAMILY, GENEROUS, UNET, request_for
from tests.contract.rpc_services import SERVING, health

SHARDS = 3
CROPS_OF_A_SHARD = 4
BATCH = 3
TIMEOUT_S = 60
MODEL = ModelSpec(**{field: getattr(FAMILY, field) for field in FAMILY.__dataclass_fields__} | {"name": "narrow"})
FILL = "morula_network_batch_fill"
Alone = tuple[list[str], tuple[float, float]]


class Gathering:
    """A real network that begins once so many callers wait for it."""

    def __init__(self, queue: CropQueue, caller_count: int) -> None:
        self.name = MODEL.name
        self.caller_count = caller_count
        self._queue = queue
        self._network = computing_in(unet(unet_files.read(UNET), self.name, queue.device), "float32")

    def __call__(self, batch: Batch) -> Answer:
        self.wait(self.caller_count)
        self.go()
        return self._network(batch)

    def wait(self, caller_count: int) -> None:
        give_up = time.monotonic() + TIMEOUT_S
        while self._queue.waiting < min(caller_count, self.caller_count):
            assert time.monotonic() < give_up
            time.sleep(0.005)

    def go(self) -> None:
        self.caller_count = 0


@dataclass
class Segmenter:
    """A running segmenter, and what lies behind its door."""

    channel: grpc.aio.Channel
    store: FolderStore
    network: Gathering
    slot: Slot

    @property
    def stub(self) -> segmenter_pb2_grpc.SegmenterServiceStub:
        return segmenter_pb2_grpc.SegmenterServiceStub(self.channel)

    def request(self, shard: FakeShard, name: str) -> segmenter_pb2.SegmentShardRequest:
        return request_for(self.store, shard, MODEL, f"p/s/cells/{name}.parquet", **GENEROUS)

    async def all_wait(self) -> None:
        """Until every shard waits for the network."""
        await asyncio.to_thread(self.network.wait, SHARDS)


@asynccontextmanager
async def segmenter(caller_count: int) -> AsyncIterator[Segmenter]:
    processors = Processors(2)
    queue, slot = CropQueue("cpu", BATCH, processors), Slot("segmenter", SHARDS, at_once=SHARDS)
    network = Gathering(queue, caller_count)
    traits = Traits(cellpose_unet.CROP_PX, FAMILY.channels, 17.0, fills_crops=False, object_um=FAMILY.object_um)
    models = {**MODELS, MODEL.name: FlowModel(CropBackend([network], traits, queue))}
    with temporary_store() as store:
        async with running(SegmenterServicer(store, slot, models, processors)) as channel:
            yield Segmenter(channel, store, network, slot)
        network.go()
        slot.close()
        queue.close()


@pytest.fixture(scope="module", autouse=True)
def row() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("morula.common.models._added", {})
        add_rows([MODEL])
        yield


@pytest.fixture(scope="module")
def shards() -> list[FakeShard]:
    return [fake_shard(size_px=256, tile_px=128, halo_px=0, seed=seed) for seed in range(SHARDS)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(row: None, shards: list[FakeShard]) -> Alone:
    """Each shard's table where no other is inside, and the batches that it took."""
    before = batches()
    async with segmenter(caller_count=1) as served:
        tables = [await served.stub.SegmentShard(served.request(shard, f"{n}")) for n, shard in enumerate(shards)]
    assert all(table.cell_count for table in tables)
    return [table.cells.sha256 for table in tables], since(before)


def batches() -> tuple[float, float]:
    """Batches until now, and the sum of how full they were."""
    count, total = (REGISTRY.get_sample_value(f"{FILL}_{what}") for what in ("count", "sum"))
    return count or 0.0, total or 0.0


def since(before: tuple[float, float]) -> tuple[float, float]:
    now = batches()
    return now[0] - before[0], now[1] - before[1]


async def test_crops_of_three_shards_share_batches_and_change_nothing(shards: list[FakeShard], alone: Alone) -> None:
    expected, (count, filled) = alone
    crops = SHARDS * CROPS_OF_A_SHARD
    assert count == SHARDS * 2, "four crops are a full batch of three, and one of one"
    assert filled * BATCH == pytest.approx(crops)

    before = batches()
    async with segmenter(caller_count=SHARDS) as together:
        requests = [together.request(shard, f"{n}") for n, shard in enumerate(shards)]
        found = await asyncio.gather(*(together.stub.SegmentShard(request) for request in requests))
    count, filled = since(before)
    assert count == crops / BATCH, "every batch is full, so shards share them"
    assert filled == pytest.approx(count)
    assert [table.cells.sha256 for table in found] == expected


async def test_the_fourth_shard_is_told_so_and_health_answers(shards: list[FakeShard]) -> None:
    async with segmenter(caller_count=SHARDS + 1) as full:
        calls = [
            asyncio.ensure_future(full.stub.SegmentShard(full.request(shard, f"{n}"))) for n, shard in enumerate(shards)
        ]
        await full.all_wait()
        assert await health(full.channel) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await full.stub.SegmentShard(full.request(shards[0], "fourth"))
        assert isinstance(from_rpc_error(caught.value), Busy)
        assert full.slot.inside == SHARDS
        full.network.go()
        assert all(answer.cell_count for answer in await asyncio.gather(*calls))
        assert (await full.stub.SegmentShard(full.request(shards[0], "fourth"))).cell_count


@pytest.mark.parametrize("ending", ["cancel", "deadline"])
async def test_a_shard_that_nobody_waits_for_leaves_the_others_alone(
    shards: list[FakeShard], alone: Alone, ending: str
) -> None:
    expected, _ = alone
    async with segmenter(caller_count=SHARDS + 1) as shared:
        timeouts = (TIMEOUT_S, 3.0 if ending == "deadline" else TIMEOUT_S, TIMEOUT_S)
        calls = [
            shared.stub.SegmentShard(shared.request(shard, f"{n}"), timeout=timeout)
            for n, (shard, timeout) in enumerate(zip(shards, timeouts, strict=True))
        ]
        if ending == "cancel":
            await shared.all_wait()
            calls[1].cancel()
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
            await calls[1]
        shared.network.go()
        found = [await calls[0], await calls[2]]
        assert [table.cells.sha256 for table in found] == [expected[0], expected[2]]
        assert shared.store.stat("p/s/cells/1.parquet") is None
