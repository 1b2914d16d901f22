"""The tables that a job leaves: tiles, cells, assignments. Written in row groups, never as a whole in memory."""

import uuid
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from morula.common.arrays import write_json
from morula.common.errors import of_artifact
from morula.common.shard_lists import shards_of
from morula.common.store import Store
from morula.common.tables import (
    IMPORTED,
    TILES_SCHEMA,
    read_cells,
    read_metadata,
    read_morphology,
    read_plan,
    read_tiles,
)
from morula.gateway.views import ClusteringView, SlideRows
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide, ShardCells

BATCH_ROWS = 1 << 16
OPEN_SHARDS = 8
NOISE_CLUSTER = 0
"""Cluster of a cell that is in none; nodes are numbered from 1."""

CELL_COLUMNS = (
    "x_px",
    "y_px",
    "x_min_px",
    "y_min_px",
    "x_max_px",
    "y_max_px",
    "geometry",
    "score",
    "state",
    "area_um2",
)


def write_job_tiles(store: Store, plan: ObjectRef, tiles: Sequence[ObjectRef], path: Path) -> pa.Table:
    """Every tile of the grid with its verdict: from its shard, or from the plan for tiles that were never read."""
    with store.local_path(plan.key, plan.sha256) as plan_path, of_artifact(plan.key):
        planned = read_plan(plan_path)
    judged = [_judged(store, ref) for ref in tiles]
    metadata = read_metadata(planned)
    seen = pa.concat_tables([_plain(table) for table in judged]) if judged else TILES_SCHEMA.empty_table()
    unseen = planned.filter(pc.invert(pc.is_in(planned["tile"], seen["tile"].combine_chunks())))
    count = unseen.num_rows
    columns = {
        field.name: unseen[field.name] if field.name in unseen.column_names else pa.nulls(count, field.type)
        for field in TILES_SCHEMA
    }
    columns["verdict"] = pc.fill_null(unseen["left_out"], "background").combine_chunks().dictionary_encode()
    rest = pa.table([columns[field.name].cast(field.type) for field in TILES_SCHEMA], schema=TILES_SCHEMA)
    judgements = pa.concat_tables([seen.unify_dictionaries(), rest]).sort_by("tile")
    facts = {"slide_digest": metadata["slide_digest"], "mpp": metadata["mpp"], "slide_mpp": metadata["slide_mpp"]}
    pq.write_table(judgements.replace_schema_metadata(_metadata(facts)), path, compression="zstd")
    return judgements


def _judged(store: Store, ref: ObjectRef) -> pa.Table:
    with of_artifact(ref.key):
        return read_tiles(store.get(ref.key, ref.sha256))


def _plain(table: pa.Table) -> pa.Table:
    return pa.table([table[field.name].cast(field.type) for field in TILES_SCHEMA], schema=TILES_SCHEMA)


def write_job_cells(store: Store, settled: SettledSlide, slide: SlideRows, path: Path) -> None:
    """Every cell with its polygon and morphology as GeoParquet, in row order."""
    reader = _ShardReader(store, shards_of(store, settled))
    writer: pq.ParquetWriter | None = None
    for batch in _cell_batches(slide, reader):
        if writer is None:
            writer = pq.ParquetWriter(path, batch.schema.with_metadata(_geo_metadata(slide)), compression="zstd")
        writer.write_table(batch)
    if writer is not None:
        writer.close()


def _cell_batches(slide: SlideRows, reader: "_ShardReader") -> Iterator[pa.Table]:
    count = slide.row_stop - slide.row_start
    for start in range(0, count, BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, count))
        cells = reader.take(slide.shard[rows], slide.shard_row[rows])
        yield cells.add_column(0, "cell_id", pa.array(_texts(slide.cell_ids(rows))))


class _ShardReader:
    """Cells with morphology by (shard, row). A few shards stay open, because the rows of a block are of few shards."""

    def __init__(self, store: Store, shards: Sequence[ShardCells]) -> None:
        self._store = store
        self._shards = shards
        self.table = lru_cache(OPEN_SHARDS)(self._table)

    def _table(self, number: int) -> pa.Table:
        shard = self._shards[number]
        with self._path(shard.cells) as path, of_artifact(shard.cells.key):
            cells = read_cells(path)
            cells = cells.select([*CELL_COLUMNS, *(name for name in IMPORTED if name in cells.column_names)])
        with self._path(shard.morphology) as path, of_artifact(shard.morphology.key):
            morphology = read_morphology(path)
        for name in morphology.column_names:
            if name not in CELL_COLUMNS:
                cells = cells.append_column(name, morphology[name])
        return cells

    def take(self, shard: np.ndarray[Any, Any], row: np.ndarray[Any, Any]) -> pa.Table:
        """These rows, in their order."""
        parts, places = [], []
        for number in np.unique(shard):
            mine = np.flatnonzero(shard == number)
            parts.append(self.table(int(number)).take(row[mine]))
            places.append(mine)
        order = np.argsort(np.concatenate(places))
        return pa.concat_tables(parts).unify_dictionaries().take(order).replace_schema_metadata(None)

    def _path(self, ref: ObjectRef) -> Any:
        return self._store.local_path(ref.key, ref.sha256)


class OutlineReader:
    """Polygons of a slide's cells at level 0, along the edges of working pixels."""

    def __init__(self, store: Store, slide: SlideRows) -> None:
        self._slide = slide
        self._shards = _ShardReader(store, shards_of(store, slide.settled))

    def polygons(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Those of these rows, in their order."""
        if not len(rows):
            return np.empty(0, object)
        taken = self._shards.take(self._slide.shard[rows], self._slide.shard_row[rows])
        found: np.ndarray[Any, np.dtype[np.object_]] = shapely.from_wkb(taken["geometry"].to_numpy())
        return found


def write_empty_cells(path: Path) -> None:
    """An empty table of cells, for a slide without any."""
    kinds = {"geometry": pa.binary(), "state": pa.string(), "score": pa.float32(), "area_um2": pa.float32()}
    fields = [
        pa.field("cell_id", pa.string()),
        *(pa.field(name, kinds.get(name, pa.float64())) for name in CELL_COLUMNS),
    ]
    pq.write_table(pa.schema(fields, _geo_metadata(None)).empty_table(), path, compression="zstd")


def write_assignments(view: ClusteringView | None, node_of_leaf: Sequence[int], confidence: Any, path: Path) -> None:
    """Cluster of each cell in the proposed cut, its leaf, and how sure it is there."""
    schema = pa.schema(
        [("cell_id", pa.string()), ("cluster_id", pa.int32()), ("leaf", pa.uint16()), ("confidence", pa.float32())]
    )
    if view is None:
        pq.write_table(schema.empty_table(), path, compression="zstd")
        return
    clusters = clusters_of_rows(view, node_of_leaf)
    ids = [text for slide in view.slides for text in _texts(slide.cell_ids(np.arange(len(slide.x_px))))]
    columns = [
        pa.array(ids),
        pa.array(clusters),
        pa.array(view.leaf),
        pa.array(np.asarray(confidence, np.float32) / 255),
    ]
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")


def clusters_of_rows(view: ClusteringView, node_of_leaf: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Node of each row in a cut, NOISE_CLUSTER where it is in none."""
    nodes = np.array([*node_of_leaf, NOISE_CLUSTER], np.int32)
    return nodes[np.minimum(view.leaf, len(node_of_leaf))]


def _texts(ids: Sequence[bytes]) -> list[str]:
    return [str(uuid.UUID(bytes=cell_id)) for cell_id in ids]


def _metadata(facts: dict[str, Any]) -> dict[bytes, bytes]:
    return {b"morula": write_json(facts)}


def _geo_metadata(slide: SlideRows | None) -> dict[bytes, bytes]:
    geometry = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": None, "edges": "planar"}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    facts = {"slide_digest": slide.digest, "slide_mpp": slide.mpp} if slide is not None else {}
    return {b"geo": write_json(geo), b"morula": write_json(facts)}
