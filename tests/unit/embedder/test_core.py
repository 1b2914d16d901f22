"""Outlines from level 0 back to the pixels that they were traced from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import shapely

from morula.common.errors import ArtifactInvalid
from morula.common.pixels import Region
from morula.embedder.core import rasterise, working_polygons
from morula.embedder.named import vectors

LABELS = np.zeros((30, 40), np.int32)
LABELS[5:12, 6:15] = 1
LABELS[8, 9] = 0
LABELS[12:20, 10:16] = 2


def region(x_px: float, downsample: float) -> Region:
    return Region(0, x_px, -7.5, downsample, np.zeros((30, 40, 3), np.uint8), 0, 0.5, 0.5 / downsample)


def outlines() -> list[shapely.Polygon]:
    holed = shapely.Polygon([(6, 5), (15, 5), (15, 12), (6, 12)], [[(9, 8), (10, 8), (10, 9), (9, 9)]])
    return [holed, shapely.box(10, 12, 16, 20)]


def at_level_0(origin: tuple[float, float], downsample: float) -> pa.Table:
    moved = shapely.transform(np.array(outlines()), lambda xy: np.array(origin) + xy * downsample)
    return pa.table({"geometry": pa.array(shapely.to_wkb(moved), pa.binary())})


@pytest.mark.parametrize("downsample", [1.0, 2.0, 1.1013, 0.987])
def test_every_scale_gives_back_the_mask(downsample: float) -> None:
    here = region(12345.678, downsample)
    polygons = working_polygons(at_level_0((here.x_px, here.y_px), downsample), here)
    assert np.array_equal(rasterise(polygons, (30, 40)), LABELS)


@pytest.mark.parametrize("orientation", [1, -1])
def test_the_direction_of_rings_does_not_matter(orientation: int) -> None:
    turned = shapely.orient_polygons(np.array(outlines()), exterior_cw=orientation < 0)
    assert np.array_equal(rasterise(turned, (30, 40)), LABELS)


def test_cells_outside_their_region_are_an_error() -> None:
    with pytest.raises(ArtifactInvalid):
        working_polygons(at_level_0((0.0, 0.0), 1.0), region(20.0, 1.0))


def test_vectors_fit_their_type() -> None:
    wide = {"area_um2": np.array([0.0, 1e6]), "other": np.array([1e9, -1e9])}
    found = vectors(wide, ["log_area_um2", "other"])
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    assert found[1, 0] == pytest.approx(np.log(1e6), rel=1e-3)
