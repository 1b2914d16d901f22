"""Reference sets: cells of plain images and of slides, found and described as jobs find and describe them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.common.errors import SlideUnreadable
from morula.common.pixels import Region, read_regions
from morula.common.stain import Staining
from morula.embedder import morphology
from morula.embedder.instances import Embedder, RegionCells
from morula.onebox.failures import WrongUse
from morula.onebox.images import SUFFIXES, read_image
from morula.onebox.results import entry_path, find_slides
from morula.onebox.segmenting import calibration_of
from morula.segmenter.channels import eight_bits
from morula.segmenter.instances import Calibration, Model, Wanted
from morula.segmenter.outlines import outline
from morula.segmenter.params import FlowParams
from morula.tiler.colours import detect_stain
from morula.tiler.cutting import Plan, cut_shard
from morula.tiler.planning import GridRequest, plan_slide
from morula.tiler.probe import probe
from morula.tiler.readers import open_slide
from morula.tiler.selection import Selection

TILE_PX, HALO_PX, REGION_TILES = 512, 0, 1
TILES_OF_A_SLIDE = 32
SAME_SCALE = 0.05
"""An image whose scale differs by less from the one that is worked at is used as it is, as a slide's level is."""
_SEED = 0
_NO_SLIDE = "0" * 64  # No slide has this digest: nothing is stored.
_TIFF = (".tif", ".tiff")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Field:
    """A piece of tissue, and what is known of the whole that it is of."""

    region: Region
    calibration: Calibration
    is_part: bool = True


@dataclass(frozen=True)
class Source:
    """A plain image, or a slide by its files."""

    name: str
    image: Path | None
    slide: Mapping[str, Path]


def sources_of(paths: Sequence[Path]) -> tuple[list[Source], list[Path]]:
    """Files, and what is below folders; and the files of folders that are neither an image nor of a slide.

    A TIFF file that says how large its pixels are is a slide, another an image, as is all of a format of images that
    belongs to no slide of several files.
    """
    found: list[Source] = []
    left_out: list[Path] = []
    for path in paths:
        if _is_image(path) and not path.is_dir():
            found.append(_source(path))
            continue
        slides, rest = find_slides(path)
        for slide in slides:
            entry = entry_path(slide)
            found.append(_source(entry) if len(slide) == 1 and _is_image(entry) else Source(entry.name, None, slide))
        found += [_source(file) for file in rest if _is_image(file)]
        left_out += [file for file in rest if not _is_image(file)]
    return found, left_out


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _source(path: Path) -> Source:
    if not path.is_file():
        raise WrongUse(f"there is no file or folder {path}")
    if path.suffix.lower() in _TIFF and _says_its_scale(path):
        return Source(path.name, None, {path.name: path})
    return Source(path.name, path, {})


def _says_its_scale(path: Path) -> bool:
    try:
        return bool(probe(path).scale.mpp)
    except SlideUnreadable:  # An image all the same, or whoever reads it as one says why it is none.
        return False


def fields(source: Source, mpp: float, image_mpp: float) -> Iterator[Field]:
    """A source at the scale that is worked at: an image whole, of a slide some tiles of its tissue."""
    if source.image:
        yield _of_image(source.image, mpp, image_mpp)
    else:
        yield from _of_slide(source.slide, mpp)


def _of_image(path: Path, mpp: float, image_mpp: float) -> Field:
    pixels = eight_bits(read_image(path))
    if abs(image_mpp / mpp - 1) > SAME_SCALE:
        factor = image_mpp / mpp
        smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        size = tuple(max(1, round(side * factor)) for side in pixels.shape[1::-1])
        pixels, image_mpp = np.asarray(cv2.resize(pixels, size, interpolation=smooth), np.uint8), mpp
    return Field(Region(0, 0.0, 0.0, 1.0, pixels, 0, image_mpp, image_mpp), calibration_of(pixels), is_part=False)


def _of_slide(files: Mapping[str, Path], mpp: float) -> Iterator[Field]:
    path = entry_path(files)
    mates = files.keys() - {path.name}
    probe(path, mates)
    with open_slide(path, mates) as slide, tempfile.TemporaryDirectory(prefix="morula-reference-") as scratch:
        if not slide.scale.mpp:
            raise WrongUse(f"{path.name} does not say how large its pixels are")
        grid = GridRequest(mpp, TILE_PX, HALO_PX, REGION_TILES, 0, 0, TILES_OF_A_SLIDE)
        wanted = Selection(sample_tile_count=TILES_OF_A_SLIDE, seed=_SEED)
        plan = Plan.read(
            plan_slide(slide, slide.scale.mpp, _NO_SLIDE, grid, wanted, go_on, detect_stain(slide)), slide, _NO_SLIDE
        )
        found = plan.metadata["calibration"]
        calibration = Calibration(found["low"], found["high"], found["stain_matrix"])
        pixels = Path(scratch) / "pixels.arrow"
        for shard in range(plan.metadata["shard_count"]):
            cut_shard(slide, plan, shard, "default", pixels, go_on)
            for region in read_regions(pixels):
                yield Field(region, calibration)


def cells_of(field: Field, model: Model) -> RegionCells | None:
    """Cells that a segmenter finds in a field, measured; None where it finds none."""
    region, calibration = field.region, field.calibration
    flows = FlowParams(normalize="slide" if field.is_part else "image")
    wanted = Wanted(calibration=calibration, flows=flows, is_part=field.is_part)
    found = outline(model(region.pixels, region.mpp, wanted))
    if not found.scores.size:
        return None
    staining = Staining()  # Nobody says it of a reference set, and an embedder that was added looks at pixels.
    columns = morphology.measure(region.pixels, found.labels, found.polygons, region.mpp, staining)
    return RegionCells(region, found.polygons, found.labels, staining, columns, found.features)


def described(cells: RegionCells, embedder: Embedder) -> Floats:
    """Vectors of those cells that the frame of their field does not cut; NaN where there is none."""
    height, width = cells.region.pixels.shape[:2]
    left, top, right, bottom = shapely.bounds(cells.polygons).T
    whole = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    vectors: Floats = np.asarray(embedder(cells, go_on), np.float32)[whole]
    return vectors
