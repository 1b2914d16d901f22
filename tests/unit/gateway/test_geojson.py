"""Exported cells have the outlines that their slide was settled with, holes too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
import shapely

from morula.clusterer import settle, tables
from morula.common.folder import FolderStore
from morula.common.outlines import HOLES, read_outlines
from morula.common.refs import ref_of
from morula.common.store import Stored
from morula.gateway.exports.geojson import feature_collection
from morula.gateway.refs import to_json
from morula.gateway.views import SlideRows
from morula.v1.artifact_pb2 import SettledSlide
from tests.unit.clusterer.test_settle import IDENTITY, cells

RING = shapely.box(0, 0, 20, 20) - shapely.box(5, 5, 15, 15)


@pytest.fixture
def settled() -> settle.Settled:
    found = cells([{"x": 10.0, "y": 10.0, "side": 20.0}, {"x": 110.0, "y": 10.0, "side": 20.0}])
    found.polygon[0] = RING
    return settle.settle(found, IDENTITY)


def features(store: FolderStore, index: Stored, outlines: Stored) -> list[dict[str, Any]]:
    slide = SettledSlide(index=ref_of(index), outlines=ref_of(outlines))
    place = {"row_start": 0, "row_stop": 2, "slide_mpp": 0.5}
    row = {"slide_id": "s", "job_id": "j", "digest": "d", "name": "n", "settled": to_json(slide), **place}
    chunks = feature_collection(SlideRows(row, store), lambda row: (None, {}))
    found: list[dict[str, Any]] = json.loads(b"".join(chunks))["features"]
    return found


def test_holes_are_exported(settled: settle.Settled, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    index = store.put("p/s/index/a.parquet", tables.index_bytes(settled, IDENTITY))
    outlines = store.put("p/s/outlines/a.arrow", tables.outline_bytes(settled))
    found = [shapely.geometry.shape(feature["geometry"]) for feature in features(store, index, outlines)]
    assert [polygon.equals(RING) for polygon in found] == [True, False]
    assert [len(polygon.interiors) for polygon in found] == [1, 0]


def test_outlines_that_were_drawn_before_holes_were_kept_are_exported_as_they_are(
    settled: settle.Settled, tmp_path: Path
) -> None:
    store = FolderStore(tmp_path)
    index = store.put("p/s/index/a.parquet", tables.index_bytes(settled, IDENTITY))
    without = read_outlines(tables.outline_bytes(settled)).drop_columns([HOLES.name])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, without.schema) as writer:
        writer.write_table(without)
    found = features(store, index, store.put("p/s/outlines/a.arrow", sink.getvalue().to_pybytes()))
    assert [len(feature["geometry"]["coordinates"]) for feature in found] == [1, 1]
    assert np.unique([UUID(feature["id"]).version for feature in found]).tolist() == [5]
