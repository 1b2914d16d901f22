"""What is known of each cell of a set: vectors of several kinds, all of the same cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.bench.embedder import untrained
from morula.bench.labelled import NEIGHBOURS, unplaced
from morula.bench.quality.seen import pictured, under_masks
from morula.bench.quality.sets import Picture
from morula.clusterer import features
from morula.clusterer.arrays import sample_rows
from morula.clusterer.features import Features
from morula.clusterer.vectors import own_scale
from morula.common.models import NUCLEI, ModelSpec, families, find
from morula.common.pixels import Region
from morula.common.stain import Staining
from morula.embedder import morphology, named
from morula.embedder.instances import RegionCells
from morula.networks import backbones
from morula.onebox.segmenting import calibration_of
from morula.segmenter.instances import Calibration

CELLS_AT_MOST = 1500
SEED = 0
BACKBONE = "mobilenet_v2"
WEIGHTS = "mobilenet_v2_imagenet_from_tflite_fp16.pth"
FEATURES = f"{NUCLEI}-features"
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
    calibrations = list(_calibrations(pictures))
    cells = [
        _measured(picture, Staining("H&E", one.stain_matrix))
        for picture, one in zip(pictures, calibrations, strict=True)
    ]
    names = np.concatenate([picture.names for picture in pictures])
    groups = np.concatenate([picture.groups for picture in pictures])
    with_class = np.flatnonzero(names != "")
    rows = with_class[sample_rows(len(with_class), at_most, SEED)]
    words, classes = np.unique(names[rows], return_inverse=True)
    _, group = np.unique(groups[rows], return_inverse=True)
    starts = np.cumsum([0, *(len(one.polygons) for one in cells)])
    own = [rows[(rows >= start) & (rows < end)] - start for start, end in pairwise(starts)]

    spec = find("morphology", "embedder")
    morula = _placed(pictures, [named.vectors(one.morphology, spec.columns) for one in cells], spec, rows)
    features = _placed(pictures, under_masks(cells, calibrations), find(FEATURES, "embedder"), rows)
    window = families()[BACKBONE]
    kinds = {
        "morula": morula,
        "morphology": _without_neighbours(morula),
        "features": features,
        "blocks": _beside(morula, features),
        "colour": _unplaced(np.concatenate([_colours(one)[some] for one, some in zip(cells, own, strict=True)])),
        "untrained": _unplaced(pictured(untrained(BACKBONE, np.random.default_rng(SEED)), window, cells, own)),
    }
    boxed = None
    if (data / "weights" / WEIGHTS).is_file():
        state = backbones.read(BACKBONE, data / "weights" / WEIGHTS)
        kinds["network"] = _unplaced(pictured(state, window, cells, own))
        boxed = pictured(state, replace(window, window_um=0.0), cells, own)
        kinds["boxes"] = _unplaced(boxed)
    return Known(classes.astype(np.int64) + 1, tuple(words.tolist()), group.astype(np.int64), kinds, boxed)


def _calibrations(pictures: Sequence[Picture]) -> Iterator[Calibration]:
    """Of each picture that of its slide."""
    of_slide: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        of_slide[picture.slide].append(picture)
    found = {
        slide: calibration_of(np.concatenate([one.pixels.reshape(-1, 1, 3) for one in own]))
        for slide, own in of_slide.items()
    }
    return (found[picture.slide] for picture in pictures)


def _measured(picture: Picture, staining: Staining) -> RegionCells:
    region = Region(0, 0.0, 0.0, 1.0, picture.pixels, 0, picture.mpp, picture.mpp)
    labels, polygons = picture.outlines.labels, picture.outlines.polygons
    columns = morphology.measure(picture.pixels, labels, polygons, picture.mpp, staining)
    return RegionCells(region, polygons, labels, staining, columns)


def _placed(
    pictures: Sequence[Picture], vectors: Sequence[NDArray[np.float16]], spec: ModelSpec, rows: Rows
) -> Features:
    """As the clusterer makes features of slides: by the embedder's scale, the mean of the nearest cells beside."""
    slides = [
        features.SlideVectors(each, *(picture.outlines.centroids * picture.mpp).T)
        for picture, each in zip(pictures, vectors, strict=True)
    ]
    built = features.build(slides, features.Scale(spec.columns, spec.location, spec.scale), NEIGHBOURS)
    return replace(built, matrix=built.matrix[rows])


def _without_neighbours(built: Features) -> Features:
    return Features(built.matrix[:, : built.own_count], built.names[: built.own_count], built.own_count, None)


def _beside(one: Features, other: Features) -> Features:
    """Two blocks with their neighbours, each as wide as its scale has it."""
    matrix = np.concatenate([one.matrix, other.matrix], axis=1)
    return Features(matrix, (*one.names, *other.names), matrix.shape[1], None)


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


def _unplaced(vectors: Floats) -> Features:
    """By a scale of their own, over all groups together: never the slide's."""
    return unplaced(vectors, own_scale(vectors, np.asarray(np.isfinite(vectors).all(axis=1))))
