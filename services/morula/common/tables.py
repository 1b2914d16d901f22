"""The tables that services hand each other: schemas, writers, and readers that trust no file.

Writers give bytes, which go straight into the store. Readers take bytes or a path, check every column and raise
ArtifactInvalid where something is missing, mistyped or cut short. What holds for a whole table lies in its schema
metadata under `morula`, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.common.arrays import Source, reading, write_json
from morula.common.errors import ArtifactInvalid, InvalidArgument

Metadata = dict[str, Any]

METADATA = b"morula"

STATES = ("whole", "truncated", "slide_edge")
SLIDE_VERDICTS = ("tissue", "no_tissue")
NOISE_LEAF = 65535
"""Leaf of a row that lies too far from every leaf."""
CLUSTERING_ARTIFACTS = ("leaf", "tree", "features", "confidence", "layout")
"""What a clustering leaves, by the names of the contract's fields and of the stages in keys."""

QUALITY_METRICS = (
    "mean_intensity",
    "std_intensity",
    "bright_fraction",
    "dark_fraction",
    "edge_density",
    "laplacian_variance",
    "colour_variance",
)
"""The reference system's metrics of a tile, of every tile that was read."""

_STATE = pa.dictionary(pa.int8(), pa.string())
_VERDICT = pa.dictionary(pa.int8(), pa.string())


def _schema(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in fields])


_TILE_FIELDS = (
    ("tile", pa.int32()),
    ("column", pa.int32()),
    ("row", pa.int32()),
    ("x_px", pa.int64()),
    ("y_px", pa.int64()),
    ("width_px", pa.int64()),
    ("height_px", pa.int64()),
)

TILE_PLACE = ("tile", "x_px", "y_px", "width_px", "height_px")
"""Where a tile lies."""

PLAN_SCHEMA = _schema(
    *_TILE_FIELDS,
    ("core", pa.string()),
    ("tissue_fraction", pa.float32()),
    ("fold_fraction", pa.float32()),
    ("candidate", pa.bool_()),
    ("left_out", pa.string()),
    ("region", pa.int32()),
    ("shard", pa.int32()),
)

TILES_SCHEMA = _schema(
    *_TILE_FIELDS,
    ("region", pa.int32()),
    ("core", pa.string()),
    ("tissue_fraction", pa.float32()),
    ("focus", pa.float32()),
    ("pen_fraction", pa.float32()),
    ("fold_fraction", pa.float32()),
    *((name, pa.float32()) for name in QUALITY_METRICS),
    ("verdict", _VERDICT),
    ("reasons", pa.list_(pa.string())),
)

CELLS_SCHEMA = _schema(
    ("x_px", pa.float64()),
    ("y_px", pa.float64()),
    ("x_min_px", pa.float64()),
    ("y_min_px", pa.float64()),
    ("x_max_px", pa.float64()),
    ("y_max_px", pa.float64()),
    ("geometry", pa.binary()),
    ("score", pa.float32()),
    ("state", _STATE),
    ("tile", pa.int32()),
    ("region", pa.int32()),
    ("seam", pa.bool_()),
    ("area_um2", pa.float32()),
)

NETWORK_FEATURES, NETWORK_STYLE = "network_features", "network_style"
"""Columns of cells that a network which tells what it sees adds: numbers of half precision, as many as it has."""

IMPORTED = {"imported_row": pa.int32(), "imported_cluster": pa.int32(), "imported_confidence": pa.float32()}
"""Columns of cells that came with their slide: the row of the file that holds them, and the cluster that they had
there, -1 for none."""

UNEMBEDDED = "unembedded_rows"
"""In the metadata of morphology, where there are any: the rows of cells without a vector, which are NaN there."""

INDEX_SCHEMA = _schema(
    ("shard", pa.int32()),
    ("row", pa.int32()),
    ("cell_id", pa.binary(16)),
    ("x_px", pa.float64()),
    ("y_px", pa.float64()),
    ("tile", pa.int32()),
    ("area_um2", pa.float32()),
    ("score", pa.float32()),
    ("state", _STATE),
    ("density_per_mm2", pa.float32()),
)

OUTLINES_SCHEMA = _schema(
    ("x_px", pa.float64()),
    ("y_px", pa.float64()),
    ("outline", pa.list_(pa.int16())),
)

_PLAN_METADATA = (
    "slide_digest",
    "slide_mpp",
    "mpp",
    "level",
    "downsample",
    "grid",
    "columns",
    "rows",
    "shard_count",
    "candidate_tile_count",
    "calibration",
    "verdict",
)
_CELLS_METADATA = (
    "mpp",
    "slide_mpp",
    "downsample",
    "cell_count",
    "truncated_cell_count",
    "regions",
    "truncated_regions",
    "model",
)
_INDEX_METADATA = ("cell_count", "truncated_cell_count", "dropped", "slide_digest", "slide_mpp", "blocks")


def table(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    """A table of this schema from arrays or lists by column name; dictionaries are made from plain strings."""
    missing = set(schema.names) ^ set(columns)
    if missing:
        raise InvalidArgument(f"columns differ from the schema: {', '.join(sorted(missing))}")
    return pa.table([_array(columns[field.name], field.type) for field in schema], schema=schema)


def _array(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values.cast(kind) if values.type != kind else values
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def read_metadata(content: pa.Table | pa.Schema) -> Metadata:
    """The metadata that the table's writer added."""
    schema = content.schema if isinstance(content, pa.Table) else content
    raw = (schema.metadata or {}).get(METADATA)
    try:
        stored = json.loads(raw) if raw else None
    except ValueError as error:
        raise ArtifactInvalid("the table's metadata is no JSON") from error
    if not isinstance(stored, dict):
        raise ArtifactInvalid("the table says nothing about itself: `morula` is missing from its metadata")
    return stored


def write_plan(columns: Mapping[str, Any], metadata: Metadata) -> bytes:
    """The plan of a slide: one row per tile of the grid, in tile order."""
    return _write_parquet(table(PLAN_SCHEMA, columns), metadata, _PLAN_METADATA)


def read_plan(source: Source) -> pa.Table:
    plan = _read_parquet(source, PLAN_SCHEMA, _PLAN_METADATA)
    metadata = read_metadata(plan)
    if plan.num_rows != metadata["columns"] * metadata["rows"]:
        raise ArtifactInvalid(f"the plan has {plan.num_rows} tiles, not {metadata['columns']} x {metadata['rows']}")
    return plan


def write_tiles(columns: Mapping[str, Any], metadata: Metadata) -> bytes:
    """Verdict and metrics of every tile of a shard."""
    return _write_parquet(table(TILES_SCHEMA, columns), metadata, ("kept", "rejected", "failed", *_PLAN_METADATA))


def read_tiles(source: Source) -> pa.Table:
    return _read_parquet(source, TILES_SCHEMA, ("kept", "rejected", "failed"))


def read_tile_places(source: Source) -> pa.Table:
    """Number and place of each tile that was kept, by number, from the table that a job leaves (`tiles.parquet`)."""
    tiles = _read_parquet(source, TILES_SCHEMA, ("mpp", "slide_mpp"), [*TILE_PLACE, "verdict"])
    kept = pc.equal(tiles["verdict"].cast(pa.string()), "kept")
    return tiles.filter(kept).select(list(TILE_PLACE)).sort_by("tile")


def write_cells(columns: Mapping[str, Any], metadata: Metadata) -> bytes:
    """Cells of a shard as GeoParquet; `geometry` holds WKB polygons at level 0, which no map's crs describes."""
    seen = {name: columns[name] for name in (NETWORK_FEATURES, NETWORK_STYLE) if name in columns}
    came = {name: columns[name] for name in IMPORTED if name in columns}
    cells = table(CELLS_SCHEMA, {name: values for name, values in columns.items() if name not in seen | came})
    for name, values in seen.items():
        cells = cells.append_column(name, halves(values))
    for name, values in came.items():
        cells = cells.append_column(name, pa.array(values, IMPORTED[name]))
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": None, "edges": "planar"}},
    }
    return _write_parquet(cells, metadata, _CELLS_METADATA, {b"geo": json.dumps(geo).encode()})


def read_cells(source: Source, columns: list[str] | None = None) -> pa.Table:
    """Cells, or some of their columns: who needs no polygons does not read them."""
    cells = _read_parquet(source, CELLS_SCHEMA, _CELLS_METADATA, columns)
    expected = read_metadata(cells)["cell_count"]
    if cells.num_rows != expected:
        raise ArtifactInvalid(f"the table has {cells.num_rows} cells and says {expected}")
    return cells


def halves(values: NDArray[np.floating[Any]]) -> pa.Array:
    """Rows of numbers as one value each, in half precision."""
    content = np.ascontiguousarray(values, "<f2")
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(content.dtype.itemsize * content.shape[1]), len(content), [None, pa.py_buffer(content)]
    )


def read_halves(content: pa.Table, name: str) -> NDArray[np.float16]:
    """Such a column as numbers (row, column)."""
    column = content[name].combine_chunks()
    if not pa.types.is_fixed_size_binary(column.type) or column.null_count:
        raise ArtifactInvalid(f"column {name} is {column.type}, not numbers of half precision")
    joined = b"".join(column.to_pylist())
    return np.frombuffer(joined, "<f2").reshape(len(column), column.type.byte_width // 2)


def write_morphology(columns: Mapping[str, Any], metadata: Metadata) -> bytes:
    """One row per cell, one named column with its unit per number."""
    arrays = {name: pa.array(np.asarray(values, np.float32)) for name, values in columns.items()}
    return _write_parquet(pa.table(arrays), metadata, ())


def read_morphology(source: Source, columns: list[str] | None = None) -> pa.Table:
    content = _read_parquet(source, pa.schema([]), (), columns)
    wrong = [field.name for field in content.schema if field.type != pa.float32()]
    if wrong:
        raise ArtifactInvalid(f"columns are not float: {', '.join(wrong[:8])}")
    return content


def write_index(columns: Mapping[str, Any], metadata: Metadata) -> bytes:
    """The settled cells of a slide; a row's number is the cell's number in every later array."""
    return _write_parquet(table(INDEX_SCHEMA, columns), metadata, _INDEX_METADATA)


def read_index(source: Source, columns: list[str] | None = None) -> pa.Table:
    index = _read_parquet(source, INDEX_SCHEMA, _INDEX_METADATA, columns)
    if index.num_rows != read_metadata(index)["cell_count"]:
        raise ArtifactInvalid(f"the index has {index.num_rows} rows and says {read_metadata(index)['cell_count']}")
    return index


def _write_parquet(
    content: pa.Table, metadata: Metadata, required: tuple[str, ...], extra: dict[bytes, bytes] | None = None
) -> bytes:
    _check_metadata(metadata, required, InvalidArgument)
    stored = {METADATA: write_json(metadata), **(extra or {})}
    sink = pa.BufferOutputStream()
    pq.write_table(content.replace_schema_metadata(stored), sink, compression="zstd", row_group_size=1 << 16)
    return bytes(sink.getvalue())


def _read_parquet(
    source: Source, schema: pa.Schema, required: tuple[str, ...], columns: list[str] | None = None
) -> pa.Table:
    with (
        reading("the table"),
        pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source) as file,
    ):
        check_columns(file.schema_arrow, schema)
        content = file.read(columns=columns)
        content.validate(full=True)
    _check_metadata(read_metadata(content), required, ArtifactInvalid)
    return content


def check_columns(actual: pa.Schema, expected: pa.Schema) -> None:
    """Every expected column is there with its type; more columns are welcome."""
    for field in expected:
        if field.name not in actual.names:
            raise ArtifactInvalid(f"the table has no column {field.name}")
        actual_type = actual.field(field.name).type
        plain = actual_type.value_type if pa.types.is_dictionary(actual_type) else actual_type
        wanted = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if plain != wanted:
            raise ArtifactInvalid(f"column {field.name} is {actual_type}, not {field.type}")


def _check_metadata(
    metadata: Metadata, required: tuple[str, ...], error: type[InvalidArgument] | type[ArtifactInvalid]
) -> None:
    missing = [name for name in required if name not in metadata]
    if missing:
        raise error(f"the table's metadata lacks {', '.join(missing)}")
