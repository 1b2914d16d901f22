"""From artifacts in the store to the arrays that the cores take, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from morula.clusterer.arrays import Halves
from morula.clusterer.core import Came
from morula.clusterer.features import SlideVectors
from morula.clusterer.outlines import outlines
from morula.clusterer.settle import Cells, Identity, Settled
from morula.common.errors import ArtifactInvalid, InvalidArgument, of_artifact
from morula.common.formats import (
    IMPORTED,
    read_array,
    read_cells,
    read_index,
    read_metadata,
    write_index,
    write_outlines,
)
from morula.common.store import Store

Ref = tuple[str, str]
"""Key and sha256 of an object."""


def shard_cells(store: Store, ref: Ref, shard: int) -> tuple[Cells, list[int]]:
    """Cells of one shard, and its regions: one may have no cells."""
    with of_artifact(ref[0]):
        table = read_cells(store.get(*ref))
    column = _reader(table)
    try:
        polygons = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    except shapely.errors.ShapelyError as error:
        raise ArtifactInvalid(f"{ref[0]} holds geometry that is no WKB", key=ref[0]) from error
    cells = Cells(
        shard=np.full(table.num_rows, shard, np.int64),
        row=np.arange(table.num_rows, dtype=np.int64),
        x=column("x_px", np.float64),
        y=column("y_px", np.float64),
        polygon=np.asarray(polygons, object),
        score=column("score", np.float32),
        state=np.asarray(table["state"].cast(pa.string()).to_pylist(), object),
        tile=column("tile", np.int64),
        region=column("region", np.int64),
        seam=column("seam", np.bool_),
        area_um2=column("area_um2", np.float32),
    )
    return cells, read_metadata(table)["regions"]


def no_cells() -> tuple[Cells, list[int]]:
    """The cells of a slide without tissue."""
    whole, real = np.zeros(0, np.int64), np.zeros(0, np.float64)
    thing, narrow = np.zeros(0, object), np.zeros(0, np.float32)
    seam = np.zeros(0, np.bool_)
    return Cells(whole, whole, real, real, thing, narrow, thing, whole, whole, seam, narrow), []


def index_bytes(settled: Settled, identity: Identity) -> bytes:
    """The cell index of a slide."""
    cells = settled.cells
    columns = {
        "shard": cells.shard,
        "row": cells.row,
        "cell_id": settled.cell_ids,
        "x_px": cells.x,
        "y_px": cells.y,
        "tile": cells.tile,
        "area_um2": cells.area_um2,
        "score": cells.score,
        "state": cells.state.tolist(),
        "density_per_mm2": settled.density_per_mm2,
    }
    metadata = {
        "cell_count": len(cells),
        "truncated_cell_count": settled.truncated_count,
        "dropped": settled.dropped_count,
        "slide_digest": identity.slide_digest,
        "slide_mpp": identity.slide_mpp,
        "blocks": [list(block) for block in settled.blocks],
    }
    return write_index(columns, metadata)


def outline_bytes(settled: Settled) -> bytes:
    """The outlines of a slide's cells."""
    cells = settled.cells
    return write_outlines(cells.x, cells.y, *outlines(cells.polygon, cells.x, cells.y))


def slide_vectors(store: Store, index: Ref, vectors: Sequence[Ref]) -> SlideVectors:
    """Vectors of a settled slide in row order, and where its cells lie in microns."""
    with of_artifact(index[0]):
        table = read_index(store.get(*index), ["shard", "row", "x_px", "y_px"])
    column = _reader(table)
    shard, row = column("shard", np.int64), column("row", np.int64)
    mpp = float(read_metadata(table)["slide_mpp"])
    gathered: Halves | None = None
    for number, ref in enumerate(vectors):
        inside = shard == number
        with of_artifact(ref[0]):
            part = read_array(store.get(*ref))
        if part.ndim != 2 or (inside.any() and row[inside].max() >= len(part)):
            raise ArtifactInvalid(
                f"{ref[0]} has shape {part.shape}, which does not hold the rows of the index", key=ref[0]
            )
        if gathered is None:
            gathered = np.zeros((len(shard), part.shape[1]), np.float16)
        if part.shape[1] != gathered.shape[1]:
            raise ArtifactInvalid(f"{ref[0]} has {part.shape[1]} columns, others have {gathered.shape[1]}", key=ref[0])
        gathered[inside] = part[row[inside]]
    if gathered is None or (len(shard) and shard.max() >= len(vectors)):
        raise ArtifactInvalid("the index points to shards that the request does not name", key=index[0])
    return SlideVectors(gathered, column("x_px", np.float64) * mpp, column("y_px", np.float64) * mpp)


def came_with(store: Store, index: Ref, cells: Sequence[Ref]) -> Came:
    """The clusters that came with the cells of a settled slide, in row order."""
    with of_artifact(index[0]):
        table = read_index(store.get(*index), ["shard", "row"])
    column = _reader(table)
    shard, row = column("shard", np.int64), column("row", np.int64)
    came = Came(np.full(len(shard), -1, np.int32), np.zeros(len(shard), np.float32))
    for number, ref in enumerate(cells):
        inside = shard == number
        if not inside.any():
            continue
        with of_artifact(ref[0]):
            part = read_cells(store.get(*ref))
        if not set(IMPORTED) <= set(part.column_names):
            raise InvalidArgument(
                "these cells came without clusters: the clustering imported is for cells by the segmenter imported"
            )
        for name, values in (("imported_cluster", came.cluster), ("imported_confidence", came.confidence)):
            values[inside] = part[name].to_numpy()[row[inside]]
    return came


def _reader(table: pa.Table) -> Callable[[str, type], NDArray[Any]]:
    def column(name: str, kind: type) -> NDArray[Any]:
        return np.asarray(table[name].to_numpy(), kind)

    return column
