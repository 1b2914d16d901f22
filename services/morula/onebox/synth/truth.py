"""The truth beside the slide: one row per nucleus as GeoParquet."""

import json
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from morula.onebox.synth.cells import CLASSES
from morula.onebox.synth.noise import Floats
from morula.onebox.synth.shapes import Blobs, outlines

_GRID = 32  # vertices lie on this part of a pixel: finer says nothing and does not compress


def schema(width_px: int, height_px: int) -> pa.Schema:
    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": None, "bbox": [0, 0, width_px, height_px]}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    fields = [("x_px", pa.float64()), ("y_px", pa.float64()), ("class", pa.string()), ("instance", pa.int64()),
              ("geometry", pa.binary())]  # fmt: skip
    return pa.schema(fields, metadata={"geo": json.dumps(geo)})


def rows(cells: Blobs, names: NDArray[np.uint32], like: pa.Schema) -> pa.Table:
    polygons = shapely.polygons(np.round(outlines(cells) * _GRID) / _GRID)
    centroids: Floats = shapely.get_coordinates(shapely.centroid(polygons))
    classes = np.array(CLASSES)[cells["kind"]]
    columns = [centroids[:, 0], centroids[:, 1], classes, names.astype(np.int64), shapely.to_wkb(polygons)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, like, strict=True)]
    return pa.Table.from_arrays(arrays, schema=like)


class TruthWriter:
    """Gathers the cells of one band after another into a Parquet file, one row group each."""

    def __init__(self, path: Path, width_px: int, height_px: int) -> None:
        self._schema = schema(width_px, height_px)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._band: list[pa.Table] = []

    def __enter__(self) -> "TruthWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, cells: Blobs, names: NDArray[np.uint32]) -> None:
        if len(cells):
            self._band.append(rows(cells, names, self._schema))

    def end_band(self) -> None:
        if self._band:
            self._writer.write_table(pa.concat_tables(self._band))
            self._band = []
