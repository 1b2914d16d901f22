"""A slide with its cells, clusters and classes in the published system's files, laid out as a run of it leaves them.

A cell is on the tile that owns it, cut at the tile's frame there. Noise is cluster -1; other clusters have the numbers
that they have on the board.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from morula.common.errors import of_artifact
from morula.common.published import NOISE, TILE_PX, UNCLASSIFIED
from morula.common.tables import TILE_PLACE, read_metadata
from morula.gateway.exports.label_material import LabelledSlide
from morula.gateway.exports.png import encode_labels
from morula.gateway.exports.tables import NOISE_CLUSTER, OutlineReader, clusters_of_rows
from morula.gateway.labels.effective import NOT_SURE
from morula.gateway.samples.published import EDGE_PX, slide_called, tile_called

UNDETERMINED = "Undetermined"
SPOOLED_BYTES = 1 << 24
JSON_FILES = {
    "cluster": "cluster_assignments.json",
    "classify": "classification_results.json",
    "postprocess": "final_annotations.json",
}
"""The stages that leave one list for each slide, and its name."""


@dataclass(frozen=True)
class Tile:
    """A tile, its name there, and the rows of its cells in the slide."""

    place: Mapping[str, Any]
    name: str
    rows: npt.NDArray[np.int64]


class ListFile:
    """A JSON list that is written piece by piece."""

    def __init__(self, sink: IO[bytes]) -> None:
        self.sink = sink
        self._count = 0

    def add(self, *items: Mapping[str, Any]) -> None:
        for item in items:
            self.sink.write((b",\n" if self._count else b"[\n") + json.dumps(item).encode())
            self._count += 1

    def close_into(self, archive: zipfile.ZipFile, name: str) -> None:
        self.sink.write(b"\n]\n" if self._count else b"[]\n")
        self.sink.seek(0)
        with archive.open(name, "w") as target:
            while piece := self.sink.read(SPOOLED_BYTES):
                target.write(piece)


def write_run(labelled: LabelledSlide, path: Path) -> None:
    """A zip with masks and boxes of every tile, and the lists of the slide."""
    slide = {"name": labelled.slide.name, "digest": labelled.slide.digest, "slide_mpp": labelled.slide.mpp}
    called = slide_called(slide)
    describe, reader = _Describe(labelled), OutlineReader(labelled.store, labelled.slide)
    number = 0
    with ExitStack() as opened:
        archive = opened.enter_context(zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1))
        sinks = {stage: opened.enter_context(tempfile.SpooledTemporaryFile(SPOOLED_BYTES)) for stage in JSON_FILES}
        lists = {stage: ListFile(sink) for stage, sink in sinks.items()}
        for tile in _tiles(labelled, slide):
            labels, boxes, polygons = _drawn(tile, reader)
            archive.writestr(f"segment/{called}/{tile.name}_mask.png", encode_labels(labels))
            boxed = [{"label_id": label, "bbox": box} for label, box in enumerate(boxes, 1) if box]
            archive.writestr(f"segment/{called}/{tile.name}_bboxes.json", json.dumps(boxed))
            cells = []
            for label, (row, box) in enumerate(zip(tile.rows.tolist(), boxes, strict=True), 1):
                if not box:
                    continue
                number += 1
                cluster, confidence, name = describe(row)
                file = f"segment/{called}/{tile.name}_bboxes.json"
                own = {"label_id": label, "bbox": box}
                lists["cluster"].add({"bbox_file": file, **own, "cluster_id": cluster, "confidence": confidence})
                said = {**own, "pred_class": name, "cluster_id": cluster, "cluster_confidence": confidence}
                cells.append((number, polygons[label - 1], file, said))
            _add_lists(lists, tile, called, cells)
        for stage, name in JSON_FILES.items():
            lists[stage].close_into(archive, f"{stage}/{called}/{name}")


def _add_lists(
    lists: Mapping[str, ListFile],
    tile: Tile,
    called: str,
    cells: list[tuple[int, list[list[float]], str, dict[str, Any]]],
) -> None:
    if not cells:
        return
    path = f"data_prep/{called}/{tile.name}.png"
    named = [{**said, "bbox_file": file} for _, _, file, said in cells]
    of_tile = {"tile_path": path, "tile_name": f"{tile.name}.png", "slide_id": called, "classified_cells": named}
    lists["classify"].add(of_tile)
    drawn = [{"cell_id": number, "polygon": polygon, **said} for number, polygon, _, said in cells]
    place = {"x": tile.place["x_px"], "y": tile.place["y_px"]}
    lists["postprocess"].add({"tile_path": path, "magnification": tile.place["scale"], **place, "cells": drawn})


class _Describe:
    """Cluster, confidence and class of a row of the slide."""

    def __init__(self, labelled: LabelledSlide) -> None:
        rows = slice(labelled.slide.row_start, labelled.slide.row_stop)
        clusters = clusters_of_rows(labelled.view, labelled.cut.node_of_leaf)[rows]
        self._clusters = np.where(clusters == NOISE_CLUSTER, NOISE, clusters)
        self._confidence = np.where(clusters == NOISE_CLUSTER, 0, labelled.cluster_confidence[rows] / 255)
        self._classes = labelled.effective.classes[rows]
        self._names = {one.number: one.name for one in labelled.label_set.classes} | {NOT_SURE: UNDETERMINED}

    def __call__(self, row: int) -> tuple[int, float, str]:
        name = self._names.get(int(self._classes[row]), UNCLASSIFIED)
        return int(self._clusters[row]), round(float(self._confidence[row]), 4), name


def _tiles(labelled: LabelledSlide, slide: Mapping[str, Any]) -> Iterator[Tile]:
    """Kept tiles, and others that own cells, in an order in which tiles of one shard lie together."""
    ref = labelled.tiles
    with labelled.store.local_path(ref.key, ref.sha256) as path, of_artifact(ref.key):
        table = pq.read_table(path, columns=[*TILE_PLACE, "verdict"])
    mpp = read_metadata(table)["mpp"]
    owners = labelled.slide.tile
    order = np.argsort(owners, kind="stable")
    starts = dict(zip(*(found.tolist() for found in np.unique(owners[order], return_index=True)), strict=True))
    kept = table["verdict"].cast(pa.string()).to_pylist()
    listed = table.select(list(TILE_PLACE)).to_pylist()
    wanted = [one for one, verdict in zip(listed, kept, strict=True) if verdict == "kept" or one["tile"] in starts]
    for place in sorted(wanted, key=lambda one: _shard_of(labelled, order, starts, one["tile"])):
        start = starts.get(place["tile"])
        stop = None if start is None else start + int(np.count_nonzero(owners == place["tile"]))
        rows = order[:0] if start is None else order[start:stop]
        place["mpp"], place["scale"] = mpp, slide["slide_mpp"] / mpp
        yield Tile(place, tile_called(place, slide), rows)


def _shard_of(
    labelled: LabelledSlide, order: npt.NDArray[np.int64], starts: Mapping[int, int], tile: int
) -> tuple[int, int]:
    start = starts.get(tile)
    return (-1 if start is None else int(labelled.slide.shard[order[start]])), tile


Box = list[int]
"""First and last pixel of both sides; empty of a cell that has none on its tile."""


def _drawn(tile: Tile, reader: OutlineReader) -> tuple[npt.NDArray[np.uint16], list[Box], list[list[list[float]]]]:
    """Labels of a tile, with the box and the outline of each cell in its pixels."""
    corner = np.array([tile.place["x_px"], tile.place["y_px"]])
    labels = np.zeros((TILE_PX, TILE_PX), np.uint16)
    polygons = []
    for label, polygon in enumerate(reader.polygons(tile.rows), 1):
        own = shapely.transform(polygon, lambda xy: (xy - corner) * tile.place["scale"])
        labels[_inside(own)] = label
        ring = shapely.get_coordinates(shapely.get_exterior_ring(own)) - EDGE_PX
        polygons.append(np.round(ring, 2).tolist())
    boxes: list[Box] = []
    for label in range(1, len(polygons) + 1):
        rows, columns = np.nonzero(labels == label)
        found = [columns.min(), rows.min(), columns.max(), rows.max()] if len(rows) else []
        boxes.append([int(edge) for edge in found])
    return labels, boxes, polygons


def _inside(polygon: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of a tile's pixels whose middle lies in a polygon: between an odd and an even crossing."""
    left, top, right, bottom = (int(edge) for edge in np.clip(np.round(shapely.bounds(polygon)), 0, TILE_PX))
    crossed = np.zeros((bottom - top, right - left + 1), bool)
    for ring in [shapely.get_exterior_ring(polygon), *polygon.interiors]:
        points = shapely.get_coordinates(ring)
        for (x0, y0), (x1, y1) in pairwise(points):
            first, last = (int(np.ceil(edge - EDGE_PX)) for edge in sorted((y0, y1)))
            rows = np.arange(max(first, top), min(last, bottom))
            if not len(rows):
                continue
            x = x0 + (rows + EDGE_PX - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - EDGE_PX).astype(np.int64) - left, 0, right - left)
            crossed[rows - top, columns] ^= True
    rows, columns = np.nonzero(np.logical_xor.accumulate(crossed, axis=1)[:, :-1])
    return rows + top, columns + left
