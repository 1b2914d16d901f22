"""SegmenterService over a real channel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from morula.common import imported
from morula.common.compute import Slot
from morula.common.folder import FolderStore
from morula.common.formats import read_cells, read_metadata, read_tiles, write_tiles
from morula.common.models import find
from morula.common.pieces import encode_pieces
from morula.common.pixels import RegionPieces, read_pixels_metadata, write_regions
from morula.common.rpc import from_rpc_error
from morula.common.testing import FakeShard, fake_shard, running, temporary_store
from morula.segmenter.instances import Instances, Wanted
from morula.segmenter.servicer import SegmenterServicer
from morula.v1 import artifact_pb2, segmenter_pb2, segmenter_pb2_grpc

WATERSHED = find("watershed", "segmenter")
IMPORTED = find(imported.MODEL, "segmenter")
CELLS_KEY = "p/s/cells/a.parquet"
PATIENCE_S = 120
LEFT_PX = 2048


@pytest.fixture
def store() -> Iterator[FolderStore]:
    with temporary_store() as opened:
        yield opened


@pytest.fixture(scope="module")
def shard() -> FakeShard:
    return fake_shard()


@pytest.fixture
async def stub(store: FolderStore) -> AsyncIterator[segmenter_pb2_grpc.SegmenterServiceStub]:
    slot = Slot("segmenter")
    async with running(SegmenterServicer(store, slot)) as channel:
        yield segmenter_pb2_grpc.SegmenterServiceStub(channel)
    slot.close()


def put(store: FolderStore, key: str, content: bytes) -> artifact_pb2.ObjectRef:
    stored = store.put(key, content)
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def request_for(store: FolderStore, shard: FakeShard, pixels: bytes | None = None, tiles: bytes | None = None):  # type: ignore[no-untyped-def]
    stains = shard.metadata["calibration"]["stain_matrix"]
    return segmenter_pb2.SegmentShardRequest(
        pixels=put(store, "p/s/pixels/a.arrow", pixels or shard.pixels),
        tiles=put(store, "p/s/tiles/a.parquet", tiles or shard.tiles),
        model=artifact_pb2.ModelRef(name="watershed", revision=WATERSHED.revision),
        params=segmenter_pb2.SegmentParams(calibration=artifact_pb2.Calibration(stain_matrix=stains)),
        cells_key=CELLS_KEY,
    )


def painted(shard: FakeShard, image: NDArray[np.uint8], halo_px: int = 32, x_px: int = 0) -> bytes:
    """The shard's pixels with another picture in place of the drawn one."""
    metadata = read_pixels_metadata(shard.pixels) | {"halo_px": halo_px}
    place = (float(x_px - halo_px), float(-halo_px), image.shape[1], image.shape[0])
    return write_regions([RegionPieces(0, *place, encode_pieces(image, "raw"))], metadata)


async def test_cells_are_where_they_were_drawn(stub, store, shard) -> None:  # type: ignore[no-untyped-def]
    response = await stub.SegmentShard(request_for(store, shard))
    cells = read_cells(store.get(response.cells.key, response.cells.sha256))
    assert cells.num_rows == response.cell_count == len(shard.nuclei.x_px)
    drawn = shard.nuclei.label[cells["y_px"].to_numpy().astype(int), cells["x_px"].to_numpy().astype(int)]
    assert sorted(drawn) == list(range(1, len(drawn) + 1))
    polygons = shapely.from_wkb(cells["geometry"].to_numpy())
    assert shapely.is_valid(polygons).all()
    assert np.allclose(shapely.area(polygons) * 0.25, cells["area_um2"].to_numpy())
    assert set(cells["state"].to_pylist()) == {"whole"}
    assert not any(cells["seam"].to_pylist())
    order = list(zip(*(cells[name].to_pylist() for name in ("region", "tile", "y_px", "x_px")), strict=True))
    assert order == sorted(order)
    assert read_metadata(cells)["model"] == {"name": "watershed", "revision": WATERSHED.revision}


async def test_a_key_that_exists_is_not_made_again(store: FolderStore, shard: FakeShard) -> None:
    calls = 0

    def counted(pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _: object = None) -> Instances:
        nonlocal calls
        calls += 1
        return Instances(np.zeros(pixels.shape[:2], np.int32), np.empty(0, np.float32))

    async with running(SegmenterServicer(store, Slot("s"), {"watershed": counted})) as channel:
        stub = segmenter_pb2_grpc.SegmenterServiceStub(channel)
        first = await stub.SegmentShard(request_for(store, shard))
        second = await stub.SegmentShard(request_for(store, shard))
    assert first == second
    assert first.cell_count == 0
    assert calls == 1


@pytest.mark.parametrize("change", [{"revision": "0" * 64}, {"name": "cellpose-sam"}])
async def test_an_unknown_model_is_never_substituted(stub, store, shard, change) -> None:  # type: ignore[no-untyped-def]
    request = request_for(store, shard)
    for name, value in change.items():
        setattr(request.model, name, value)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SegmentShard(request)
    assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"
    assert store.stat(CELLS_KEY) is None


async def test_pixels_of_other_bytes_are_refused(stub, store, shard) -> None:  # type: ignore[no-untyped-def]
    request = request_for(store, shard)
    request.pixels.sha256 = "0" * 64
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SegmentShard(request)
    assert from_rpc_error(caught.value).reason == "ARTIFACT_CHANGED"


class Left(SegmenterServicer):
    """The real segmenter, which says when its caller has left."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.left = asyncio.Event()

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802 - the generated name
        try:
            return await super().SegmentShard(request, context)
        except asyncio.CancelledError:
            self.left.set()
            raise


async def test_a_cancelled_call_writes_nothing(store: FolderStore, shard: FakeShard) -> None:
    started, go_on = threading.Event(), threading.Event()

    def waiting(pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _: object = None) -> Instances:
        started.set()
        assert go_on.wait(PATIENCE_S)
        return Instances(np.zeros(pixels.shape[:2], np.int32), np.empty(0, np.float32))

    slot = Slot("s")
    servicer = Left(store, slot, {"watershed": waiting})
    async with running(servicer) as channel:
        call = segmenter_pb2_grpc.SegmenterServiceStub(channel).SegmentShard(request_for(store, shard))
        assert await asyncio.to_thread(started.wait, PATIENCE_S)
        call.cancel()
        await servicer.left.wait()
        go_on.set()
        # The slot's thread comes to this once it has left that work.
        await slot.run(lambda checkpoint: None)
    assert store.stat(CELLS_KEY) is None


@pytest.mark.parametrize("shade", [0, 128, 255])
async def test_one_colour_has_no_cells(stub, store, shard, shade) -> None:  # type: ignore[no-untyped-def]
    pixels = painted(shard, np.full((576, 576, 3), shade, np.uint8))
    assert (await stub.SegmentShard(request_for(store, shard, pixels))).cell_count == 0


async def test_a_shard_without_kept_tiles_has_no_cells(stub, store, shard) -> None:  # type: ignore[no-untyped-def]
    table = read_tiles(shard.tiles)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    tiles = write_tiles(columns | {"verdict": ["blurred"] * table.num_rows}, read_metadata(table))
    pixels = write_regions([], read_pixels_metadata(shard.pixels))
    response = await stub.SegmentShard(request_for(store, shard, pixels, tiles))
    assert response.cell_count == 0
    assert read_cells(store.get(CELLS_KEY)).num_rows == 0


async def test_objects_are_measured(stub, store, shard) -> None:  # type: ignore[no-untyped-def]
    shard_request = request_for(store, shard)
    measured = await stub.MeasureObjects(
        segmenter_pb2.MeasureObjectsRequest(
            pixels=shard_request.pixels, model=shard_request.model, calibration=shard_request.params.calibration
        )
    )
    assert measured.object_count == len(shard.nuclei.x_px)
    assert measured.diameter_um == pytest.approx(np.median(shard.nuclei.radius_px), rel=0.15)


def barred(halo_px: int) -> NDArray[np.uint8]:
    """White around 512 px of slide, with a dark bar through the left side of it that ends 400 px left of the slide."""
    image = np.full((512 + 2 * halo_px, 512 + 2 * halo_px, 3), 255, np.uint8)
    image[halo_px + 100 : halo_px + 120, max(0, halo_px - 400) : halo_px + 200] = 20
    return image


def dark(pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _: object = None) -> Instances:
    labels = (pixels[..., 0] < 128).astype(np.int32)
    return Instances(labels, np.ones(labels.max(), np.float32))


async def test_regions_with_cells_that_are_cut_off_come_back_and_a_second_cut_shows_them_whole(
    store: FolderStore,
) -> None:
    shard = inside_a_slide(fake_shard())
    async with running(SegmenterServicer(store, Slot("s"), {"watershed": dark})) as channel:
        stub = segmenter_pb2_grpc.SegmenterServiceStub(channel)
        first = await stub.SegmentShard(request_for(store, shard, painted(shard, barred(32), 32, LEFT_PX)))
        assert (first.cell_count, first.truncated_cell_count, list(first.truncated_regions)) == (1, 1, [0])
        assert await stub.SegmentShard(request_for(store, shard, painted(shard, barred(32), 32, LEFT_PX))) == first

        request = request_for(store, shard)
        request.pixels.CopyFrom(put(store, "p/s/pixels/again.arrow", painted(shard, barred(512), 512, LEFT_PX)))
        request.cells_key = "p/s/cells/again.parquet"
        second = await stub.SegmentShard(request)
    assert (second.cell_count, second.truncated_cell_count, list(second.truncated_regions)) == (1, 0, [])
    [cell] = read_cells(store.get(second.cells.key)).to_pylist()
    assert (cell["state"], cell["region"], cell["seam"]) == ("whole", 0, True), "it belongs to a tile of another region"
    assert shapely.from_wkb(cell["geometry"]).area == 600 * 20
    metadata = read_metadata(read_cells(store.get(second.cells.key)))
    assert (metadata["regions"], metadata["truncated_regions"]) == ([0], [])


def inside_a_slide(shard: FakeShard) -> FakeShard:
    """The same shard with more of the slide on its left."""
    table = read_tiles(shard.tiles)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    columns["x_px"] = columns["x_px"].to_numpy() + LEFT_PX
    columns["tile"] = columns["row"].to_numpy() * 10 + columns["column"].to_numpy() + 8
    metadata = read_metadata(table)
    metadata["grid"] = metadata["grid"] | {"width_px": LEFT_PX + 512}
    return replace(shard, tiles=write_tiles(columns, metadata))


async def test_damage_in_masks_of_imported_cells_names_their_file(
    stub: Any, store: FolderStore, shard: FakeShard, tmp_path: Path
) -> None:
    cells = {
        "x_px": [8], "y_px": [8], "width_px": [10], "height_px": [10], "mask": [b"short"], "cluster": [0],
        "confidence": [0.5], "class": ["a"], "tile": ["t"], "label": [1], "number": [1],
    }  # fmt: skip
    imported.write(cells, tmp_path / "a.parquet")
    asked = request_for(store, shard)
    asked.model.CopyFrom(artifact_pb2.ModelRef(name=imported.MODEL, revision=IMPORTED.revision))
    asked.imported.CopyFrom(put(store, "p/slide/a.imported.parquet", (tmp_path / "a.parquet").read_bytes()))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SegmentShard(asked)
    error = from_rpc_error(caught.value)
    assert (error.reason, error.metadata) == ("ARTIFACT_INVALID", {"key": asked.imported.key})
