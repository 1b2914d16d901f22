"""What seams cost: the same image through two grids that lie apart, and the cells that both find."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.bench.networks import trained_unet
from morula.bench.report import Case, Report
from morula.bench.slides import Agreement, Lattice, agreement, near_seams, pooled, settled_cells
from morula.common.compute import Checkpoint, go_on
from morula.onebox.images import read_image
from morula.onebox.segmenting import calibration_of
from morula.segmenter.instances import Instances, Model, Wanted

Pixels = NDArray[np.uint8]
Lattices = tuple[Lattice, Lattice]

MOVED_PX = (137, 251)
NEAR_PX = 64
DEFICIT_BOUND = "<=0.5"


def run() -> Report:
    """The test backend on discs; a trained network on tissue where there is some."""
    plain = compared(discs(), 0.5, (Lattice(128, 2), Lattice(128, 2, MOVED_PX)), whole_discs, Wanted())
    cases = [
        Case("test backend: cells, of both grids", plain.is_matched.size, "cells"),
        Case("test backend: cells lost", int((~plain.is_matched).sum()), "cells", "<=0"),
        Case("test backend: cells twice", plain.duplicates, "cells", "<=0"),
    ]
    data = Path(os.environ.get("MORULA_DATA", "../shared/data"))
    with trained_unet(data) as model:
        if model is not None:
            cases += _trained(data, model)
    return Report("seams", cases)


def _trained(data: Path, model: Model) -> list[Case]:
    cases = []
    for name, fields in {"he_nuclei": _he_nuclei(data), "CMU-1": _cmu(data)}.items():
        comparison = pooled(
            [
                compared(pixels, mpp, lattices, model, Wanted(calibration=calibration_of(pixels)))
                for pixels, mpp, lattices in fields
            ]
        )
        for where, side in (("near seams", comparison.is_near), ("interior", ~comparison.is_near)):
            matched = comparison.is_matched[side]
            cases += [
                Case(f"{name}: cells {where}, of both grids", matched.size, "cells"),
                Case(f"{name}: of them match", round(100 * float(matched.mean()), 2), "%"),
            ]
        cases += [
            Case(f"{name}: worse near seams", round(comparison.deficit_points, 2), "points", DEFICIT_BOUND),
            Case(f"{name}: half of its 95 % interval", round(comparison.half_interval_points, 2), "points"),
            Case(f"{name}: cells twice", comparison.duplicates, "cells", "<=0"),
        ]
    return cases


def compared(pixels: Pixels, mpp: float, lattices: Lattices, model: Model, wanted: Wanted) -> Agreement:
    """The image through one lattice, and through another one."""
    cells = [settled_cells(pixels, mpp, lattice, model, wanted) for lattice in lattices]
    return agreement(cells, [near_seams(each, pixels, lattices, NEAR_PX) for each in cells])


def discs(width: int = 1100, height: int = 900, count: int = 400, seed: int = 0) -> Pixels:
    """Dark discs that do not touch, on white."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 255, np.uint8)
    free = np.ones((height, width), np.uint8)
    for x, y, radius in zip(
        random.integers(0, width, count), random.integers(0, height, count), random.integers(4, 14, count), strict=True
    ):
        if free[y, x]:
            cv2.circle(pixels, (int(x), int(y)), int(radius), (90, 60, 120), -1)
            cv2.circle(free, (int(x), int(y)), int(radius) + 16, 0, -1)
    return pixels


def whole_discs(pixels: Pixels, _mpp: float, _wanted: Wanted, _checkpoint: Checkpoint = go_on, /) -> Instances:
    """A model that sees the same wherever an image begins: dark pixels that hang together are a cell."""
    count, labels = cv2.connectedComponents((pixels[..., 0] < 128).astype(np.uint8), connectivity=4)
    return Instances(labels.astype(np.int32), np.ones(count - 1, np.float32))


def _he_nuclei(data: Path) -> Iterator[tuple[Pixels, float, Lattices]]:
    """Images smaller than a region: one region against four."""
    with (data / "he_nuclei" / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        (path,) = (data / "he_nuclei" / "images").glob(f"{row['id']}.*")
        pixels = read_image(path)
        side = pixels.shape[0]
        yield pixels, float(row["mpp"]), (Lattice(side, 1), Lattice(side // 2, 1))


def _cmu(data: Path) -> Iterator[tuple[Pixels, float, Lattices]]:
    """A field of a slide as one region against a region for each tile of a grid that lies apart."""
    import tifffile

    with tifffile.TiffFile(data / "slides" / "real" / "CMU-1-Small-Region.svs") as file:
        pixels = np.asarray(file.pages[0].asarray()[500:2036, 400:1936])
    yield pixels, 0.499, (Lattice(512, 4), Lattice(512, 1, MOVED_PX))
