"""Sets of cells whose outlines and classes are known, and whose they are: what all ways of working are judged on."""

from __future__ import annotations

import csv
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from skimage.filters import threshold_multiotsu

from morula.bench import cohort
from morula.bench.fields import finder
from morula.onebox.failures import Failure
from morula.segmenter.instances import Instances
from morula.segmenter.outlines import Outlines, outline
from morula.synth import MPP, make_slide

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int32]
Rows = NDArray[np.int64]

SLIDE_PX, SLIDE_SEED, TILE_PX = 2048, 772_001, 512
CONSEP_MPP, NUCLS_MPP, TISSUE_MPP = 0.25, 0.2, 0.5
BLOOD_MPP, BLOOD_SHOWN_MPP = 0.1, 0.25
"""Of blood nobody says the scale: a red cell of 7.5 um is about 75 px wide."""


@dataclass(frozen=True)
class Picture:
    """One picture's cells, at the scale at which they are looked at."""

    pixels: Pixels
    mpp: float
    outlines: Outlines
    names: NDArray[np.str_]
    """Class of each cell; empty where nobody said it."""
    groups: NDArray[np.str_]
    """Whose each is: what is held out leaves together."""
    slide: str
    """Pictures of one slide have its stains."""


@dataclass(frozen=True)
class Source:
    """A set by name, whose cells are of so many groups of this kind."""

    name: str
    group: str
    pictures: Callable[[Path], Iterator[Picture]]
    needs: str
    """The folder of the optional real data; empty where none is needed."""


def outlined(
    pixels: Pixels,
    labels: Labels,
    mpp: float,
    shown_mpp: float,
    name_of: Mapping[int, str],
    group: str,
    slide: str = "",
) -> Picture | None:
    """A picture with labels that people drew, as it is looked at; None where no cell is left."""
    scale = mpp / shown_mpp
    if scale != 1.0:
        size = tuple(max(1, round(side * scale)) for side in (labels.shape[1], labels.shape[0]))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        rows, columns = (((np.arange(side) + 0.5) / scale).astype(np.int64) for side in (size[1], size[0]))
        labels = labels[np.ix_(np.minimum(rows, labels.shape[0] - 1), np.minimum(columns, labels.shape[1] - 1))]
    present = np.unique(labels[labels > 0])
    if not len(present):
        return None
    outlines = outline(Instances(labels, np.ones(int(labels.max()), np.float32)))
    names = np.array([name_of.get(int(label), "") for label in present], np.str_)
    return Picture(np.ascontiguousarray(pixels), shown_mpp, outlines, names, np.full(len(names), group), slide or group)


def synthetic(_data: Path, side_px: int = SLIDE_PX, tile_px: int = TILE_PX) -> Iterator[Picture]:
    """A painted slide; a tile is a group."""
    with tempfile.TemporaryDirectory(prefix="morula-bench-") as folder:
        made = make_slide(Path(folder) / "slide.tiff", side_px, side_px, SLIDE_SEED)
        pixels, labels = tifffile.imread(made.slide, level=0), tifffile.imread(made.instances)
        table = pq.read_table(made.cells, columns=["instance", "class"])
    name_of = dict(zip(table["instance"].to_pylist(), table["class"].to_pylist(), strict=True))
    # Instances count over the whole of an endless slide: here they are numbered anew.
    numbers, places = np.unique(labels, return_inverse=True)
    start = int(numbers[0] != 0)
    renamed = {place + start: name_of.get(int(number), "") for place, number in enumerate(numbers.tolist())}
    picture = outlined(pixels, (places.reshape(labels.shape) + start).astype(np.int32), MPP, MPP, renamed, "", "slide")
    if picture is None:
        raise Failure("no cell was painted")
    across, down = (picture.outlines.centroids // tile_px).astype(int).T
    tiles = np.array([f"{row}/{column}" for row, column in zip(down, across, strict=True)])
    yield Picture(picture.pixels, picture.mpp, picture.outlines, picture.names, tiles, picture.slide)


def breast(data: Path) -> Iterator[Picture]:
    """`brca_m2c`: people's points, in cells that are found for them; a patient is a group."""
    words = ("", *cohort.CLASSES)
    with finder() as find_cells:
        for matched in cohort.matched_fields(data / "brca_m2c", find_cells):
            names = np.array([words[number] for number in matched.classes], np.str_)
            patient = np.full(len(names), matched.patient)
            yield Picture(matched.pixels, cohort.FIELD_MPP, matched.cells.outlines, names, patient, matched.name)


def colon(data: Path) -> Iterator[Picture]:
    """`consep`: whole nuclei that people drew; a tile, of which the patches were cut, is a group."""
    named: dict[str, dict[int, str]] = defaultdict(dict)
    for row in _table(data / "consep" / "cells.csv"):
        if row["touches_edge"] == "0":
            named[row["id"]][int(row["inst"])] = row["class"]
    with zipfile.ZipFile(data / "consep" / "train.zip") as archive:
        for name in sorted(named):
            pixels = _picture(archive.read(f"images/{name}.jpg"), name)
            labels = _labels(archive.read(f"labels/{name}.png"), name)
            group = name.rpartition("_")[0]
            picture = outlined(pixels, labels, CONSEP_MPP, TISSUE_MPP, named[name], group)
            if picture is not None:
                yield picture


def nucls(data: Path) -> Iterator[Picture]:
    """`nucls`: nuclei of breast that people drew; a field is a group."""
    named: dict[str, dict[int, str]] = defaultdict(dict)
    for row in _table(data / "nucls" / "cells.csv"):
        named[row["image"]][int(row["inst_id"])] = row["class_name"]
    for name in sorted(named):
        pixels = _picture((data / "nucls" / "images" / f"{name}.png").read_bytes(), name)
        labels = _labels((data / "nucls" / "labels" / f"{name}.png").read_bytes(), name)
        picture = outlined(pixels, labels, NUCLS_MPP, TISSUE_MPP, named[name], name)
        if picture is not None:
            yield picture


def blood(data: Path) -> Iterator[Picture]:
    """`pbc8`: single blood cells, of which the darkest piece in the middle is taken; a picture is a group."""
    with zipfile.ZipFile(data / "blood" / "pbc8.zip") as archive:
        for row in _table(data / "blood" / "pbc8.csv"):
            file = f"{row['class']}/{row['file']}"
            pixels = _picture(archive.read(file), file)
            picture = outlined(
                pixels, darkest_piece(pixels), BLOOD_MPP, BLOOD_SHOWN_MPP, {1: row["class"]}, file, "blood"
            )
            if picture is not None:
                yield picture


SOURCES = (
    Source("synthetic", "tile", synthetic, ""),
    Source("brca_m2c", "patient", breast, "brca_m2c"),
    Source("consep", "tile", colon, "consep"),
    Source("nucls", "field", nucls, "nucls"),
    Source("pbc8", "picture", blood, "blood"),
)


def darkest_piece(pixels: Pixels) -> Labels:
    """1 where the darkest of three levels of green hangs together nearest to the middle, with its holes."""
    green = cv2.GaussianBlur(pixels[..., 1], (0, 0), 2)
    dark = green < threshold_multiotsu(green, 3)[0]  # type: ignore[no-untyped-call]
    count, pieces, facts, centres = cv2.connectedComponentsWithStats(dark.astype(np.uint8), connectivity=4)
    large = [
        number for number in range(1, count) if facts[number, cv2.CC_STAT_AREA] >= facts[1:, cv2.CC_STAT_AREA].max() / 4
    ]
    middle = np.array(dark.shape[::-1]) / 2
    nearest = min(large, key=lambda number: float(np.hypot(*(centres[number] - middle))))
    return np.asarray(binary_fill_holes(pieces == nearest), np.int32)


def _table(path: Path) -> Iterable[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _picture(content: bytes, name: str) -> Pixels:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise Failure(f"{name} is no picture")
    return np.ascontiguousarray(found[:, :, ::-1], np.uint8)


def _labels(content: bytes, name: str) -> Labels:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise Failure(f"the labels of {name} are no picture")
    return found.astype(np.int32)
