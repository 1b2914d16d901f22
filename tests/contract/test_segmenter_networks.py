"""SegmenterService with a network: a small U-Net, added as an operator adds one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pytest

from morula.common.compute import Processors, Slot
from morula.common.folder import FolderStore
from morula.common.formats import NETWORK_FEATURES, NETWORK_STYLE, read_cells, read_halves
from morula.common.models import ModelSpec, add_rows
from morula.common.rpc import from_rpc_error
from morula.common.testing import FakeShard, fake_shard, running, temporary_store
from morula.common.weights import WeightsFolder
from morula.networks.models import Models
from morula.segmenter.backends import MODELS
from morula.segmenter.servicer import SegmenterServicer
from morula.v1 import artifact_pb2, segmenter_pb2, segmenter_pb2_grpc
from tests.contract.narrow_unet import FAMILY, GENEROUS, UNET, request_for


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> WeightsFolder:
    return WeightsFolder(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def model(weights: WeightsFolder) -> Iterator[ModelSpec]:
    spec = weights.add(FAMILY, [("network", UNET)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("morula.common.models._added", {})
        add_rows([spec])
        yield spec


@pytest.fixture(scope="module")
def shard() -> FakeShard:
    return fake_shard(halo_px=0)


@pytest.fixture
def store() -> Iterator[FolderStore]:
    with temporary_store() as opened:
        yield opened


@pytest.fixture
def plain_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine's did not compute in bfloat16."""
    monkeypatch.setattr("morula.networks.openvino_runtime.fast_dtype", lambda: "float32")


@pytest.fixture
async def stub(
    store: FolderStore, weights: WeightsFolder, model: ModelSpec
) -> AsyncIterator[segmenter_pb2_grpc.SegmenterServiceStub]:
    slot, models = (
        Slot("segmenter", at_once=3),
        Models("segmenter", MODELS, weights, device="cpu", processors=Processors(1)),
    )
    async with running(SegmenterServicer(store, slot, models)) as channel:
        yield segmenter_pb2_grpc.SegmenterServiceStub(channel)
    slot.close()
    models.close()


async def test_a_network_makes_the_same_table_twice(stub, store, shard, model) -> None:  # type: ignore[no-untyped-def]
    first = await stub.SegmentShard(request_for(store, shard, model, "p/s/cells/a.parquet", **GENEROUS))
    again = await stub.SegmentShard(request_for(store, shard, model, "p/s/cells/b.parquet", **GENEROUS))
    assert first.cell_count > 100
    assert first.cells.sha256 == again.cells.sha256
    assert read_cells(store.get(first.cells.key)).num_rows == first.cell_count


async def test_what_a_network_saw_lies_beside_its_cells(stub, store, shard, model) -> None:  # type: ignore[no-untyped-def]
    answer = await stub.SegmentShard(request_for(store, shard, model, "p/s/cells/a.parquet", **GENEROUS))
    cells = read_cells(store.get(answer.cells.key))
    features, style = read_halves(cells, NETWORK_FEATURES), read_halves(cells, NETWORK_STYLE)
    # As wide as the narrow network's first and last level.
    assert (features.shape, style.shape) == ((cells.num_rows, 4), (cells.num_rows, 32))
    assert np.isfinite(features).all()
    assert (np.ptp(features.astype(np.float32), axis=0) > 0).all(), "cells differ in every number"
    assert np.linalg.norm(style.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-2)
    plain = read_cells(store.get(answer.cells.key), ["x_px", "tile"])
    assert plain.column_names == ["x_px", "tile"], "who does not ask does not read them"


@pytest.mark.parametrize(
    "params",
    [
        {"normalize": "often"},
        {"batch": -1},
        {"channels": ["infrared"]},
        {"numerics": artifact_pb2.Numerics(dtype="float8")},
        {"numerics": artifact_pb2.Numerics(thread_count=-1)},
    ],
)
async def test_parameters_that_make_no_sense_are_refused(stub, store, shard, model, params) -> None:  # type: ignore[no-untyped-def]
    request = request_for(store, shard, model, "p/s/cells/a.parquet")
    request.params.MergeFrom(segmenter_pb2.SegmentParams(**params))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SegmentShard(request)
    assert from_rpc_error(caught.value).reason == "INVALID_ARGUMENT"
    assert store.stat("p/s/cells/a.parquet") is None


async def test_a_network_that_cannot_compute_as_asked_computes_nothing(  # type: ignore[no-untyped-def]
    plain_processor, stub, store, shard, model
) -> None:
    half = artifact_pb2.Numerics(dtype="bfloat16")
    request = request_for(store, shard, model, "p/s/cells/a.parquet", numerics=half)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SegmentShard(request)
    assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.MeasureObjects(
            segmenter_pb2.MeasureObjectsRequest(pixels=request.pixels, model=request.model, numerics=half)
        )
    assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"


async def test_objects_are_measured_by_a_network(stub, store, shard, model) -> None:  # type: ignore[no-untyped-def]
    request = request_for(store, shard, model, "p/s/cells/a.parquet")
    measured = await stub.MeasureObjects(
        segmenter_pb2.MeasureObjectsRequest(pixels=request.pixels, model=request.model)
    )
    assert (measured.diameter_um > 0) == (measured.object_count > 0)
    for seen in ({"channels": ["gray"]}, {"normalize": "twice"}):  # As it will be segmented, or not at all.
        wrong = segmenter_pb2.MeasureObjectsRequest(pixels=request.pixels, model=request.model, **seen)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.MeasureObjects(wrong)
        assert from_rpc_error(caught.value).reason == "INVALID_ARGUMENT"


async def test_weights_that_were_damaged_are_not_used(store, shard, weights, model) -> None:  # type: ignore[no-untyped-def]
    ((_, path),) = weights.files(model)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    try:
        slot, models = Slot("segmenter"), Models("segmenter", MODELS, weights, device="cpu", processors=Processors(1))
        async with running(SegmenterServicer(store, slot, models)) as channel:
            request = request_for(store, shard, model, "p/s/cells/a.parquet")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await segmenter_pb2_grpc.SegmenterServiceStub(channel).SegmentShard(request)
        assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"
        slot.close()
        models.close()
    finally:
        path.write_bytes(content)
