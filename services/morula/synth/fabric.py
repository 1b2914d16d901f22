"""Muscle fibres and fat cells as outlines: things that are no nuclei and may be longer than a tile."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from morula.synth import fat
from morula.synth.muscle import fibre_of
from morula.synth.noise import Floats, Ints, Window
from morula.synth.tissue import SITE_REACH, Layout, Tissue

KINDS = {Tissue.MUSCLE: "muscle_fibre", Tissue.FAT: "fat_cell"}
_STEP_PX = 4  # between the places that are looked at: outlines are about so exact
_GLANCE_PX = 40
_SMALLEST_PX2 = 400.0


@dataclass(frozen=True)
class Fabric:
    """Outlines of one kind."""

    kind: str
    outlines: NDArray[np.object_]


def fabric_of(layout: Layout, window: Window) -> Iterator[Fabric]:
    """The fibres and fat cells of each tissue site that lies in the window, whole, wherever they reach.

    Sites beyond the slide's edge count as lying on it, so that windows that cover the slide give each once.
    """
    ix, iy, x, y = layout.sites_around(window)
    x, y = np.clip(x, 0, layout.width_px - 1), np.clip(y, 0, layout.height_px - 1)
    mine = (x >= window.x0) & (x < window.x1) & (y >= window.y0) & (y < window.y1)
    kinds = layout.kind_of_site(ix, iy)
    for k in np.flatnonzero(mine & np.isin(kinds, list(KINDS))):
        outlines = _traced(layout, (int(ix[k]), int(iy[k])), Tissue(int(kinds[k])), (x[k], y[k]))
        if outlines:
            yield Fabric(KINDS[Tissue(int(kinds[k]))], np.array(outlines, object))


def _traced(layout: Layout, site: tuple[int, int], tissue: Tissue, at: tuple[float, float]) -> list[shapely.Polygon]:
    extent = _extent(layout, site, at)
    if extent is None:
        return []
    x, y = _grid(extent, _STEP_PX)
    inside = layout.is_of_site(site, x, y)
    labels = np.zeros(inside.shape, np.int32)
    labels[inside] = np.unique(_names(layout, tissue, x[inside], y[inside]), return_inverse=True)[1] + 1
    rings = [shapely.Polygon(ring * _STEP_PX + (extent.x0, extent.y0)) for ring in _rings(labels)]
    parts = shapely.get_parts(shapely.buffer(rings, 0))  # a ring that touches itself becomes two
    return [part for part in parts if part.area >= _SMALLEST_PX2]


def _extent(layout: Layout, site: tuple[int, int], at: tuple[float, float]) -> Window | None:
    """Where on the slide the site's tissue lies, seen with half-closed eyes; None where there is none."""
    reach, end = SITE_REACH * layout.site_px, (layout.width_px, layout.height_px)
    whole = Window(
        *(int(max(0, c - reach)) for c in at), *(int(min(e, c + reach)) for c, e in zip(at, end, strict=True))
    )
    x, y = _grid(whole, _GLANCE_PX)
    inside = layout.is_of_site(site, x, y)
    if not inside.any():
        return None
    left, right = x[inside].min() - 2 * _GLANCE_PX, x[inside].max() + 2 * _GLANCE_PX
    top, bottom = y[inside].min() - 2 * _GLANCE_PX, y[inside].max() + 2 * _GLANCE_PX
    return Window(int(max(0, left)), int(max(0, top)), int(min(end[0], right)), int(min(end[1], bottom)))


def _grid(window: Window, step_px: int) -> tuple[Floats, Floats]:
    x, y = np.arange(window.x0, window.x1, float(step_px)), np.arange(window.y0, window.y1, float(step_px))
    gx, gy = np.meshgrid(x, y)
    return gx, gy


def _names(layout: Layout, tissue: Tissue, x: Floats, y: Floats) -> Ints:
    return fibre_of(layout, x, y) if tissue == Tissue.MUSCLE else fat.cells_at(layout.seed, x, y)[0]


def _rings(labels: NDArray[np.int32]) -> Iterator[Floats]:
    """The outer edge of each connected piece of each label, through the middles of its outermost pixels."""
    rows, columns = np.nonzero(labels)
    order = np.argsort(labels[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    for places in np.split(np.arange(len(rows)), np.cumsum(np.bincount(labels[rows, columns])[1:])[:-1]):
        top, left = rows[places].min(), columns[places].min()
        mask = np.zeros((int(np.ptp(rows[places])) + 1, int(np.ptp(columns[places])) + 1), np.uint8)
        mask[rows[places] - top, columns[places] - left] = 1
        for ring in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            if len(ring) > 3:
                yield np.asarray(ring[:, 0] + (left, top), np.float64)
