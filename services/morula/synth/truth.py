"""The truth beside the slide, as GeoParquet: nuclei, fibres and fat cells, artefacts; one row each."""

import json
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import ArrayLike, NDArray

from morula.synth.cells import CLASSES
from morula.synth.noise import Floats
from morula.synth.shapes import Blobs, outlines

CELL_FIELDS = (("x_px", pa.float64()), ("y_px", pa.float64()), ("class", pa.string()), ("instance", pa.int64()))
REGION_FIELDS = (("kind", pa.string()),)
_GEOMETRY = ("geometry", pa.binary())
_GRID = 32  # vertices lie on this part of a pixel: finer says nothing and does not compress


def _schema(fields: tuple[tuple[str, pa.DataType], ...], width_px: int, height_px: int) -> pa.Schema:
    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": None, "bbox": [0, 0, width_px, height_px]}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return pa.schema([*fields, _GEOMETRY], metadata={"geo": json.dumps(geo)})


def cell_columns(cells: Blobs, names: NDArray[np.uint32]) -> list[ArrayLike]:
    """Columns of CELL_FIELDS and the outline of each nucleus."""
    polygons = shapely.polygons(on_grid(outlines(cells)))
    centroids: Floats = shapely.get_coordinates(shapely.centroid(polygons))
    classes = np.array(CLASSES)[cells["kind"]]
    return [centroids[:, 0], centroids[:, 1], classes, names.astype(np.int64), shapely.to_wkb(polygons)]


def region_columns(kind: str, polygons: ArrayLike, zoom: int) -> list[ArrayLike]:
    """Columns of REGION_FIELDS and the outline of each region, `zoom` times as large as given."""
    wkb = shapely.to_wkb(shapely.transform(np.asarray(polygons, object), lambda xy: on_grid(xy * zoom)))
    return [np.full(len(wkb), kind), wkb]


def on_grid(coordinates: Floats) -> Floats:
    return np.asarray(np.round(coordinates * _GRID) / _GRID)


class TruthWriter:
    """Gathers the rows of one band after another into a Parquet file, one row group each."""

    def __init__(self, path: Path, fields: tuple[tuple[str, pa.DataType], ...], width_px: int, height_px: int) -> None:
        self._schema = _schema(fields, width_px, height_px)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._band: list[pa.Table] = []

    def __enter__(self) -> "TruthWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, columns: list[ArrayLike]) -> None:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._band.append(pa.Table.from_arrays(arrays, schema=self._schema))

    def end_band(self) -> None:
        if self._band:
            self._writer.write_table(pa.concat_tables(self._band))
            self._band = []
