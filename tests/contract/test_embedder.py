"""EmbedderService over a real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pyarrow as pa
import pytest
import shapely

from morula.common.compute import Checkpoint, Slot
from morula.common.errors import Cancelled
from morula.common.folder import FolderStore
from morula.common.formats import read_array, read_cells, read_metadata, read_morphology, write_cells
from morula.common.models import find
from morula.common.rpc import from_rpc_error
from morula.common.tables import NETWORK_FEATURES
from morula.common.testing import FakeShard, fake_shard, running, temporary_store
from morula.embedder.instances import RegionCells, Vectors
from morula.embedder.servicer import EmbedderServicer
from morula.v1 import artifact_pb2, embedder_pb2, embedder_pb2_grpc

MORPHOLOGY, PLAIN = find("morphology", "embedder"), find("morphology-plain", "embedder")
VECTORS_KEY, MORPHOLOGY_KEY = "p/s/vectors/a.npy", "p/s/morphology/a.parquet"
Stub = embedder_pb2_grpc.EmbedderServiceStub


@pytest.fixture
def store() -> Iterator[FolderStore]:
    with temporary_store() as opened:
        yield opened


@pytest.fixture(scope="module")
def shard() -> FakeShard:
    return fake_shard()


@pytest.fixture
async def stub(store: FolderStore) -> AsyncIterator[Stub]:
    slot = Slot("embedder")
    async with running(EmbedderServicer(store, slot)) as channel:
        yield Stub(channel)
    slot.close()


def put(store: FolderStore, key: str, content: bytes) -> artifact_pb2.ObjectRef:
    stored = store.put(key, content)
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def request_for(store: FolderStore, shard: FakeShard, cells: bytes | None = None) -> embedder_pb2.EmbedCellsRequest:
    stains = shard.metadata["calibration"]["stain_matrix"]
    return embedder_pb2.EmbedCellsRequest(
        pixels=put(store, "p/s/pixels/a.arrow", shard.pixels),
        cells=put(store, "p/s/cells/a.parquet", cells or shard.cells),
        model=artifact_pb2.ModelRef(name="morphology", revision=MORPHOLOGY.revision),
        calibration=artifact_pb2.Calibration(stain_matrix=stains, stain="STAIN_HE"),
        vectors_key=VECTORS_KEY,
        morphology_key=MORPHOLOGY_KEY,
    )


def some_cells(shard: FakeShard, rows: list[int], **changed: list[object]) -> bytes:
    table = read_cells(shard.cells).take(pa.array(rows, pa.int64()))
    columns = {name: changed.get(name, table[name].combine_chunks()) for name in table.column_names}
    return write_cells(columns, {**read_metadata(table), "cell_count": len(rows)})


async def test_rows_follow_the_table_of_cells(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    response = await stub.EmbedCells(request_for(store, shard))
    vectors = read_array(store.get(response.vectors.key, response.vectors.sha256))
    morphology = read_morphology(store.get(response.morphology.key, response.morphology.sha256))
    assert (
        vectors.shape == (response.cell_count, response.dimension_count) == (len(shard.nuclei.x_px), vectors.shape[1])
    )
    assert vectors.dtype == np.float16
    assert np.isfinite(vectors).all()
    assert vectors.shape[1] == len(MORPHOLOGY.columns)
    assert morphology.num_rows == len(vectors)
    drawn = read_cells(shard.cells)["area_um2"].to_numpy()
    assert np.allclose(morphology["area_um2"].to_numpy(), drawn, rtol=0.2)
    logarithm = vectors[:, MORPHOLOGY.columns.index("log_area_um2")]
    assert np.allclose(np.exp(logarithm.astype(float)), morphology["area_um2"].to_numpy(), rtol=0.01)


async def test_keys_that_exist_are_not_made_again(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    request = request_for(store, shard)
    first = await stub.EmbedCells(request)
    store.delete(request.pixels.key)
    assert await stub.EmbedCells(request) == first


async def test_what_is_missing_of_the_two_is_made(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    request = request_for(store, shard)
    first = await stub.EmbedCells(request)
    store.delete(VECTORS_KEY)
    assert await stub.EmbedCells(request) == first


async def test_an_unknown_revision_is_refused(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    request = request_for(store, shard)
    request.model.revision = "0" * 64
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.EmbedCells(request)
    assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"


async def test_what_the_stain_does_not_show_is_not_measured(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    request = request_for(store, shard)
    request.calibration.stain = artifact_pb2.STAIN_UNSPECIFIED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.EmbedCells(request)
    assert from_rpc_error(caught.value).reason == "INVALID_ARGUMENT"
    request.model.CopyFrom(artifact_pb2.ModelRef(name=PLAIN.name, revision=PLAIN.revision))
    made = await stub.EmbedCells(request)
    table = read_morphology(store.get(made.morphology.key))
    assert read_metadata(table)["stain"] is None
    assert not [name for name in table.column_names if "haematoxylin" in name or "eosin" in name]
    assert made.dimension_count == len(PLAIN.columns)


@pytest.mark.filterwarnings("ignore:overflow")  # Outside tests it is a warning, too.
@pytest.mark.parametrize("number", [np.nan, -np.inf, 7e4])
async def test_a_cell_of_a_number_that_half_precision_does_not_hold_has_no_vector(
    store: FolderStore, shard: FakeShard, number: float
) -> None:
    def one_is_lost(cells: RegionCells, _checkpoint: Checkpoint, /) -> Vectors:
        vectors = np.zeros((cells.polygons.size, len(MORPHOLOGY.columns)), np.float32)
        vectors[-1, 0] = number
        return vectors

    slot = Slot("embedder")
    async with running(EmbedderServicer(store, slot, {"morphology": one_is_lost})) as channel:
        made = await Stub(channel).EmbedCells(request_for(store, shard))
        assert await Stub(channel).EmbedCells(request_for(store, shard)) == made, "also of what is there"
    slot.close()
    assert (made.cell_count, made.unembedded_cell_count) == (len(shard.nuclei.x_px), 1)
    vectors = read_array(store.get(VECTORS_KEY))
    assert np.isnan(vectors[-1]).all()
    assert np.isfinite(vectors[:-1]).all()
    morphology = read_morphology(store.get(MORPHOLOGY_KEY))
    assert read_metadata(morphology)["unembedded_rows"] == [made.cell_count - 1]
    assert np.isfinite(morphology["area_um2"].to_numpy()).all(), "what was measured of it is kept"


async def test_an_outline_without_pixels_has_a_row(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    line = shapely.to_wkb(shapely.Polygon([(40, 40), (44, 40), (44, 40.2), (40, 40.2)]))
    outlines = [line, *read_cells(shard.cells)["geometry"].to_pylist()[1:3]]
    response = await stub.EmbedCells(request_for(store, shard, some_cells(shard, [0, 1, 2], geometry=outlines)))
    vectors = read_array(store.get(response.vectors.key))
    assert (response.cell_count, response.unembedded_cell_count) == (3, 1)
    assert np.isnan(vectors).all(axis=1).tolist() == [True, False, False]
    assert np.isnan(read_morphology(store.get(MORPHOLOGY_KEY))["area_um2"].to_numpy()).tolist() == [True, False, False]


async def test_no_cells_give_no_rows(stub: Stub, store: FolderStore, shard: FakeShard) -> None:
    response = await stub.EmbedCells(request_for(store, shard, some_cells(shard, [])))
    assert response.cell_count == 0
    assert response.dimension_count == len(MORPHOLOGY.columns)
    assert read_morphology(store.get(MORPHOLOGY_KEY)).column_names


@pytest.mark.parametrize("changed", [{"region": [7]}, {"geometry": [b"\x01no polygon"]}])
async def test_cells_that_do_not_belong_to_the_pixels_are_an_error(
    stub: Stub, store: FolderStore, shard: FakeShard, changed: dict[str, list[object]]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.EmbedCells(request_for(store, shard, some_cells(shard, [0], **changed)))
    assert from_rpc_error(caught.value).reason == "ARTIFACT_INVALID"
    assert store.stat(VECTORS_KEY) is None


class CancelledSlot(Slot):
    """Work whose caller leaves as soon as it has begun."""

    async def run(self, work):  # type: ignore[no-untyped-def]
        def checkpoint() -> None:
            raise Cancelled("the caller no longer waits")

        return await super().run(lambda _: work(checkpoint))


async def test_cancelled_work_writes_nothing(store: FolderStore, shard: FakeShard) -> None:
    async with running(EmbedderServicer(store, CancelledSlot("e"))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Stub(channel).EmbedCells(request_for(store, shard))
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert store.stat(VECTORS_KEY) is None
    assert store.stat(MORPHOLOGY_KEY) is None


@pytest.mark.parametrize("width", [32, 4, 0])
async def test_features_of_the_segmenter_are_vectors_as_they_are(
    stub: Stub, store: FolderStore, shard: FakeShard, width: int
) -> None:
    spec = find("morula-nuclei-features", "embedder")
    table = read_cells(shard.cells)
    seen = np.random.default_rng(0).normal(size=(table.num_rows, width)).astype(np.float16)
    columns: dict[str, object] = {name: table[name].combine_chunks() for name in table.column_names}
    cells = write_cells(columns | ({NETWORK_FEATURES: seen} if width else {}), read_metadata(table))
    request = request_for(store, shard, cells)
    request.model.CopyFrom(artifact_pb2.ModelRef(name=spec.name, revision=spec.revision))
    if width == len(spec.columns):
        made = await stub.EmbedCells(request)
        assert np.array_equal(read_array(store.get(made.vectors.key)), seen)
        return
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.EmbedCells(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "find them with morula-nuclei" in str(caught.value.details())
