"""Where the cells of each tissue lie, before they move apart."""

import numpy as np
from numpy.typing import NDArray

from morula.synth.cells import (
    ENDOTHELIAL,
    EPITHELIAL,
    FIBROBLAST,
    LYMPHOCYTE,
    MYOCYTE,
    PLASMA,
    TUMOUR,
    born,
)
from morula.synth.fat import cells_at
from morula.synth.muscle import snap_to_fibre_edge
from morula.synth.noise import Floats, Lattice, Window, value_noise
from morula.synth.shapes import Blobs
from morula.synth.structures import wall_slots
from morula.synth.tissue import Layout, Tissue


def scattered(layout: Layout, window: Window) -> Blobs:
    """All cells of the window that are in no wall of a gland or vessel."""
    tissues = (_solid_tumour, _follicles, _stroma, _muscle, _fat, _plasma)
    return np.concatenate([scatter(layout, window) for scatter in tissues])


def _scatter(
    layout: Layout, window: Window, stream: int, spacing_px: float
) -> tuple[Lattice, NDArray[np.uint8], Floats]:
    points = Lattice.over(window, layout.seed, stream, spacing_px, 0.36)
    return points, *layout.kind(points.x, points.y)


def gland_walls(layout: Layout, glands: Blobs) -> Blobs:
    spacing = np.where(glands["atypical"], 14.5, 13.5)
    owner, x, y, tangent = wall_slots(glands, spacing, np.where(glands["atypical"], 15.0, 12.5))
    points = _at(layout, 40, x, y)
    atypical = glands["atypical"][owner]
    atypia = glands["atypia"][owner]
    shift = (2.0 + 4.5 * atypia) * points.normal(20)  # nuclei of atypical glands pile up
    points = _at(layout, 40, x - shift * np.sin(tangent), y + shift * np.cos(tangent))
    tilt = (0.15 + 0.45 * atypia) * points.normal(21)
    cells = born(points, np.where(atypical, TUMOUR, EPITHELIAL), tangent + np.pi / 2 + tilt, 1.0)
    for name in ("a", "b"):  # low grades look nearly like the healthy
        cells[name] *= np.where(atypical, 0.86 + 0.22 * atypia, 0.96 + 0.15 * atypia)
    cells["priority"] += 1
    return cells


def vessel_walls(layout: Layout, vessels: Blobs) -> Blobs:
    _, x, y, tangent = wall_slots(vessels, np.full(len(vessels), 27.0), vessels["wall"] * 0.4)
    cells = born(_at(layout, 41, x, y), ENDOTHELIAL, tangent)
    cells["bend"] = np.abs(cells["bend"]) * -0.6
    cells["priority"] += 2
    return cells


def _at(layout: Layout, stream: int, x: Floats, y: Floats) -> Lattice:
    """Points that are no lattice's, with private numbers from where they lie."""
    return Lattice(layout.seed, stream, np.round(x * 8).astype(np.int64), np.round(y * 8).astype(np.int64), x, y)


def _solid_tumour(layout: Layout, window: Window) -> Blobs:
    points, kind, _ = _scatter(layout, window, 42, 22.0)
    points = points.where((kind == Tissue.TUMOUR) & (layout.nest(points.x, points.y) > 0.02))
    cells = born(points, np.where(points.uniform(1) < 0.11, LYMPHOCYTE, TUMOUR), np.pi * points.uniform(2), 2.5)
    cells["priority"] += 0.5
    return cells


def _follicles(layout: Layout, window: Window) -> Blobs:
    points = Lattice.over(window, layout.seed, 43, 14.0, 0.42)
    stray = [14 * points.normal(k) for k in (6, 7)]  # a follicle has no sharp edge
    kind, border = layout.kind(points.x + stray[0], points.y + stray[1])
    keep = (kind == Tissue.LYMPHOID) & (points.uniform(1) < 0.84)
    points, border = points.where(keep), border[keep]
    plasma = points.uniform(2) < np.where(border < 45, 0.30, 0.06)
    cells = born(points, np.where(plasma, PLASMA, LYMPHOCYTE), np.pi * points.uniform(3), 0.6)
    centre = (border > 0.24 * layout.site_px) & (cells["kind"] == LYMPHOCYTE) & (points.uniform(4) < 0.8)
    for name, factor in (
        ("a", 1.28),
        ("b", 1.28),
        ("tone", 0.74),
        ("chromatin", 1.4),
    ):  # germinal centre: large and pale
        cells[name] = np.where(centre, cells[name] * factor, cells[name])
    return cells


def _stroma(layout: Layout, window: Window) -> Blobs:
    points, kind, _ = _scatter(layout, window, 44, 36.0)
    between = (kind == Tissue.TUMOUR) & (layout.nest(points.x, points.y) < -0.05)
    points = points.where((kind == Tissue.STROMA) | (kind == Tissue.GLAND) | between)
    points = points.where(points.uniform(1) < 0.55 + 0.35 * value_noise(layout.seed, 45, points.x, points.y, 160))
    draw = points.uniform(2)
    kinds = np.where(draw < 0.80, FIBROBLAST, np.where(draw < 0.91, LYMPHOCYTE, PLASMA))
    angle = layout.fibre_angle(points.x, points.y) + 0.22 * points.normal(3)
    return born(points, kinds, angle, 4.0)


def _plasma(layout: Layout, window: Window) -> Blobs:
    """Plasma cells lie together in patches of the stroma."""
    points, kind, _ = _scatter(layout, window, 46, 17.5)
    patch = value_noise(layout.seed, 47, points.x, points.y, 170) > 0.42
    points = points.where(patch & ((kind == Tissue.STROMA) | (kind == Tissue.GLAND)) & (points.uniform(1) < 0.75))
    cells = born(points, np.where(points.uniform(2) < 0.78, PLASMA, LYMPHOCYTE), np.pi * points.uniform(3), 4.0)
    cells["priority"] += 0.3
    return cells


def _muscle(layout: Layout, window: Window) -> Blobs:
    points, kind, border = _scatter(layout, window, 48, 36.0)
    points = points.where((kind == Tissue.MUSCLE) & (border > 4) & (points.uniform(1) < 0.8))
    angle = layout.fibre_angle(points.x, points.y, muscle=True)
    x, y = snap_to_fibre_edge(layout, points.x, points.y, angle)
    kinds = np.where(points.uniform(2) < 0.86, MYOCYTE, FIBROBLAST)
    moved = Lattice(points.seed, points.stream, points.ix, points.iy, x, y)
    return born(moved, kinds, angle + 0.06 * points.normal(3), 5.0)


def _fat(layout: Layout, window: Window) -> Blobs:
    """Nuclei squeezed into the walls between fat cells."""
    points, kind, _ = _scatter(layout, window, 49, 17.0)
    points = points.where(kind == Tissue.FAT)
    _, wall, angle = cells_at(layout.seed, points.x, points.y)
    keep = (wall < 2.2) & (points.uniform(1) < 0.5)
    points, angle = points.where(keep), angle[keep]
    cells = born(points, np.where(points.uniform(2) < 0.6, FIBROBLAST, ENDOTHELIAL), angle, 6.0)
    cells["b"] = np.minimum(cells["b"], 4.5)
    cells["bend"] = 0.0
    return cells


def smudges(layout: Layout, window: Window) -> Blobs:
    """Fragments, folded-over chromatin and stain drops: purple like nuclei, and none of them is one."""
    points, kind, _ = _scatter(layout, window, 50, 76.0)
    points = points.where((kind != Tissue.FAT) & (layout.depth(points.x, points.y) > 20))
    smudged = born(points, LYMPHOCYTE, np.pi * points.uniform(1))
    smudged["a"] *= points.uniform(2, 0.65, 1.3)
    smudged["b"] *= points.uniform(3, 0.5, 1.1)
    smudged["tone"] = points.uniform(4, 0.35, 0.85)
    smudged["softness"] = points.uniform(5, 2.0, 6.0)
    smudged["nucleoli"] = 0
    return smudged
