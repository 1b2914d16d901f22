"""What is known of each cell of a set: vectors of several kinds, all of the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.bench.embedder import untrained
from morula.bench.labelled import NEIGHBOURS, unplaced
from morula.bench.quality.sets import Picture
from morula.clusterer import features
from morula.clusterer.arrays import sample_rows
from morula.clusterer.features import Features
from morula.clusterer.vectors import own_scale
from morula.common.models import ModelSpec, families, find
from morula.common.pixels import Region
from morula.embedder import morphology, named
from morula.embedder.crops import Crops
from morula.embedder.instances import RegionCells
from morula.embedder.network_embedder import NetworkEmbedder, View, views_of
from morula.networks import backbones
from morula.networks.backbone_runtimes import backbone
from morula.networks.crop_queue import CropQueue
from morula.networks.files import State
from morula.onebox.segmenting import calibration_of

CELLS_AT_MOST = 4000
SEED = 0
BACKBONE = "mobilenet_v2"
WEIGHTS = "mobilenet_v2_imagenet_from_tflite_fp16.pth"
CROPS_AT_ONCE = 128
RING_PX = 3

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """Cells that have a class, 1 to n, and whose they are; their features by the kind of vectors."""

    classes: Rows
    words: tuple[str, ...]
    groups: Rows
    features: Mapping[str, Features]
    boxed: Floats | None
    """What a trained network says of each cell's box: what the published way begins with. None without weights."""

    @property
    def class_count(self) -> int:
        return len(self.words)

    @property
    def group_count(self) -> int:
        return int(self.groups.max()) + 1

    @property
    def rarest(self) -> int:
        return int(np.bincount(self.classes, minlength=self.class_count + 1)[1:].argmin()) + 1


def describe(pictures: Sequence[Picture], data: Path, at_most: int = CELLS_AT_MOST) -> Known:
    """Of cells with a class, a seeded draw where there are too many; neighbours are those of the whole picture."""
    cells = list(_measured(pictures))
    names = np.concatenate([picture.names for picture in pictures])
    groups = np.concatenate([picture.groups for picture in pictures])
    with_class = np.flatnonzero(names != "")
    rows = with_class[sample_rows(len(with_class), at_most, SEED)]
    words, classes = np.unique(names[rows], return_inverse=True)
    _, group = np.unique(groups[rows], return_inverse=True)
    of_cells = [_rows_of(rows, start, len(one.polygons)) for start, one in _starts(cells)]
    kinds = _by_morphology(pictures, cells, rows)
    kinds["colour"] = _unplaced(np.concatenate([_colours(one)[own] for one, own in zip(cells, of_cells, strict=True)]))
    window, box = families()[BACKBONE], replace(families()[BACKBONE], window_um=0.0)
    kinds["untrained"] = _unplaced(_seen(untrained(BACKBONE, np.random.default_rng(SEED)), window, cells, of_cells))
    boxed = None
    if (data / "weights" / WEIGHTS).is_file():
        state = backbones.read(BACKBONE, data / "weights" / WEIGHTS)
        kinds["network"] = _unplaced(_seen(state, window, cells, of_cells))
        boxed = _seen(state, box, cells, of_cells)
        kinds["boxes"] = _unplaced(boxed)
    return Known(classes.astype(np.int64) + 1, tuple(words.tolist()), group.astype(np.int64), kinds, boxed)


def _measured(pictures: Sequence[Picture]) -> Iterator[RegionCells]:
    stains: dict[str, Sequence[float]] = {}
    for slide in dict.fromkeys(picture.slide for picture in pictures):
        pixels = [picture.pixels.reshape(-1, 1, 3) for picture in pictures if picture.slide == slide]
        stains[slide] = calibration_of(np.concatenate(pixels)).stain_matrix
    for picture in pictures:
        region = Region(0, 0.0, 0.0, 1.0, picture.pixels, 0, picture.mpp, picture.mpp)
        labels, polygons, stain = picture.outlines.labels, picture.outlines.polygons, stains[picture.slide]
        columns = morphology.measure(picture.pixels, labels, polygons, picture.mpp, stain)
        yield RegionCells(region, polygons, labels, stain, columns)


def _starts(cells: Sequence[RegionCells]) -> Iterator[tuple[int, RegionCells]]:
    start = 0
    for one in cells:
        yield start, one
        start += len(one.polygons)


def _rows_of(rows: Rows, start: int, count: int) -> Rows:
    return rows[(rows >= start) & (rows < start + count)] - start


def _by_morphology(pictures: Sequence[Picture], cells: Sequence[RegionCells], rows: Rows) -> dict[str, Features]:
    """As the clusterer makes features of slides, and a cell's own columns alone."""
    spec = find("morphology", "embedder")
    scale = features.Scale(spec.columns, spec.location, spec.scale)
    slides = [
        features.SlideVectors(
            named.vectors(one.morphology, spec.columns), *(picture.outlines.centroids * picture.mpp).T
        )
        for picture, one in zip(pictures, cells, strict=True)
    ]
    built = features.build(slides, scale, NEIGHBOURS)
    whole = replace(built, matrix=built.matrix[rows])
    own = Features(whole.matrix[:, : built.own_count], built.names[: built.own_count], built.own_count, None)
    return {"morula": whole, "morphology": own}


def _colours(cells: RegionCells) -> Floats:
    """Six numbers of each of red, green and blue: mean, deviation and three ranks within the cell, mean around it."""
    pixels, count = cells.region.pixels.astype(np.float64), cells.polygons.size
    around = cv2.dilate(cells.labels.astype(np.float32), np.ones((2 * RING_PX + 1,) * 2)).astype(np.int64)
    flat, ring = np.flatnonzero(cells.labels), np.flatnonzero((cells.labels == 0) & (around > 0))
    cell, neighbour = cells.labels.ravel()[flat].astype(np.int64) - 1, around.ravel()[ring] - 1
    area = np.bincount(cell, minlength=count)
    start = np.cumsum(area) - area
    columns = []
    for channel in pixels.reshape(-1, 3).T:
        inside = channel[flat]
        mean = np.bincount(cell, inside, count) / area
        ranked = inside[np.lexsort((inside, cell))]
        width = np.bincount(neighbour, minlength=count)
        outside = np.bincount(neighbour, channel[ring], count) / np.maximum(width, 1)
        columns += [
            mean,
            np.sqrt(np.bincount(cell, np.square(inside - mean[cell]), count) / area),
            *(ranked[start + (area - 1) * percent // 100] for percent in (10, 50, 90)),
            np.where(width > 0, outside, mean),
        ]
    return np.stack(columns, axis=1).astype(np.float32)


def _seen(state: State, spec: ModelSpec, cells: Sequence[RegionCells], of_cells: Sequence[Rows]) -> Floats:
    """What a network says of these cells of each picture, shown as its row says."""
    queue = CropQueue("cpu")
    try:
        (view,) = views_of(spec)
        network = NetworkEmbedder(backbone(BACKBONE, state, BACKBONE, queue.device, queue.runtime), queue, [view])
        shown = _crops(view, cells, of_cells)
        said = []
        while some := list(islice(shown, CROPS_AT_ONCE)):
            said.append(network.vectors(np.stack(some), _go_on))
        return np.concatenate(said)
    finally:
        queue.close()


def _crops(view: View, cells: Sequence[RegionCells], of_cells: Sequence[Rows]) -> Iterator[NDArray[np.uint8]]:
    for one, rows in zip(cells, of_cells, strict=True):
        if len(rows):
            crops: Crops = view(one)
            yield from crops(rows)


def _go_on() -> None:
    """Nobody stops this."""


def _unplaced(vectors: Floats) -> Features:
    """By a scale of their own, over all groups together: never the slide's."""
    return unplaced(vectors, own_scale(vectors, np.asarray(np.isfinite(vectors).all(axis=1))))
