"""Which cells lie where, of what type, shape and stain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from morula.onebox.synth.muscle import snap_to_fibre_edge
from morula.onebox.synth.noise import Floats, Lattice, Window, value_noise
from morula.onebox.synth.shapes import BLOB_FIELDS, Blobs, wobble
from morula.onebox.synth.structures import inside_any, wall_slots
from morula.onebox.synth.tissue import Layout, Tissue, fat_cells

CELL = np.dtype(
    [*BLOB_FIELDS, ("kind", "u1"), ("priority", "f8"), ("gap", "f8"), ("tone", "f8"), ("chromatin", "f8"),
     ("nucleoli", "u1"), ("cytoplasm", "f8"), ("key", "f8")]
)  # fmt: skip
CLASSES = ("epithelial", "tumour", "fibroblast", "endothelial", "lymphocyte", "plasma", "myocyte")
EPITHELIAL, TUMOUR, FIBROBLAST, ENDOTHELIAL, LYMPHOCYTE, PLASMA, MYOCYTE = range(7)
REACH_PX = 40  # no nucleus with its cytoplasm is longer, from its centre
SETTLING_ROUNDS = 2
HALO_PX = 4 * REACH_PX + 32  # what lies farther away cannot change which cells a block has
EDGE_PX = 28  # no cell is cut by the slide's edge
_SQUARE_PX, _PER_SQUARE = 32, 32


@dataclass(frozen=True)
class CellType:
    """Means and spreads; half-lengths in px of 0.5 um, which is full lengths in um."""

    half_length_px: float
    length_spread: float
    aspect: float
    aspect_spread: float
    tone: float
    tone_spread: float
    chromatin: float
    wobble: float
    bend: float
    nucleoli: float
    cytoplasm: float


TYPES = (
    CellType(9.3, 0.13, 0.70, 0.09, 0.92, 0.14, 0.30, 0.05, 0.10, 0.5, 0.0),
    CellType(11.6, 0.19, 0.76, 0.10, 0.98, 0.22, 0.42, 0.11, 0.15, 1.4, 0.0),
    CellType(12.5, 0.22, 0.34, 0.08, 1.05, 0.20, 0.25, 0.06, 0.50, 0.2, 0.5),
    CellType(10.0, 0.18, 0.40, 0.08, 1.15, 0.18, 0.22, 0.06, 0.55, 0.1, 0.3),
    CellType(6.9, 0.11, 0.90, 0.06, 1.42, 0.18, 0.30, 0.05, 0.05, 0.0, 0.2),
    CellType(7.4, 0.11, 0.83, 0.07, 1.28, 0.16, 0.62, 0.05, 0.05, 0.1, 1.0),
    CellType(11.6, 0.18, 0.37, 0.08, 0.98, 0.16, 0.25, 0.05, 0.25, 0.2, 0.0),
)


def settle(layout: Layout, window: Window, glands: Blobs, vessels: Blobs) -> Blobs:
    """All cells whose centres lie in the window; those deeper than HALO_PX are the same whatever the window is."""
    hollow = [_gland_walls(layout, glands), _vessel_walls(layout, vessels)]
    tissues = (_solid_tumour, _follicles, _stroma, _muscle, _fat, _plasma)
    scattered = np.concatenate([scatter(layout, window) for scatter in tissues])
    blocked = inside_any(glands, scattered["x"], scattered["y"], 7.0)
    blocked |= inside_any(vessels, scattered["x"], scattered["y"], 7.0)
    cells = np.concatenate([*hollow, scattered[~blocked]])
    x, y = cells["x"], cells["y"]
    keep = (x >= window.x0) & (x < window.x1) & (y >= window.y0) & (y < window.y1)
    keep &= (x > EDGE_PX) & (y > EDGE_PX) & (x < layout.width_px - EDGE_PX) & (y < layout.height_px - EDGE_PX)
    cells = cells[keep]
    cells = cells[layout.depth(cells["x"], cells["y"]) > cells["a"] + 3]
    return _thinned(cells)


def _thinned(cells: Blobs) -> Blobs:
    """Of cells that would overlap keep the one with the higher priority; a fixed number of rounds keeps this local."""
    first, second = _conflicts(cells)
    alive, kept = np.ones(len(cells), bool), np.zeros(len(cells), bool)
    wins = cells["priority"][first] > cells["priority"][second]
    loser_of = np.where(wins, second, first)
    for _ in range(SETTLING_ROUNDS):
        active = alive[first] & alive[second]
        beaten = np.zeros(len(cells), bool)
        beaten[loser_of[active]] = True
        winners = alive & ~beaten
        kept |= winners
        alive &= ~winners
        for one, other in ((first, second), (second, first)):
            alive[other[kept[one]]] = False
    return cells[kept]


def _conflicts(cells: Blobs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that overlap, each nucleus taken as three discs along its axis."""
    if len(cells) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    offset = np.maximum(0, cells["a"] - cells["b"])[:, None] * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    discs = (cells["x"] + 1j * cells["y"])[:, None] + offset * np.exp(1j * cells["angle"])[:, None]
    radius = cells["b"][:, None] * np.array([0.78, 0.95, 1.0, 0.95, 0.78])
    pairs = cKDTree(np.c_[cells["x"], cells["y"]]).query_pairs(REACH_PX, output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    close = np.abs(discs[first][:, 2] - discs[second][:, 2]) < cells["a"][first] + cells["a"][second] + 8
    first, second = first[close], second[close]
    between = np.abs(discs[first][:, :, None] - discs[second][:, None, :])
    clear = between - radius[first][:, :, None] - radius[second][:, None, :]
    overlap = clear.min(axis=(1, 2)) < (cells["gap"][first] + cells["gap"][second]) / 2
    return first[overlap], second[overlap]


def _born(lattice: Lattice, kinds: NDArray[np.int64] | int, angle: Floats | float, gap_px: float = 1.5) -> Blobs:
    """Nuclei of the given types at the lattice's points, each with its own shape and stain."""
    cells = np.zeros(len(lattice.x), CELL)
    kind = np.broadcast_to(np.asarray(kinds, np.int64), cells.shape)
    table = {name: np.array([getattr(t, name) for t in TYPES])[kind] for name in CellType.__dataclass_fields__}
    cells["x"], cells["y"], cells["kind"], cells["angle"] = lattice.x, lattice.y, kind, angle
    half = table["half_length_px"] * np.exp(table["length_spread"] * lattice.normal(800))
    cells["a"] = np.clip(half, 5.2, 24)
    cells["b"] = cells["a"] * np.clip(table["aspect"] + table["aspect_spread"] * lattice.normal(801), 0.24, 0.98)
    cells["b"] = np.maximum(cells["b"], 2.9)
    cells["bend"] = table["bend"] * lattice.uniform(802, -1, 1)
    cells["tone"] = np.clip(table["tone"] + table["tone_spread"] * lattice.normal(803), 0.55, 2.0)
    cells["chromatin"] = table["chromatin"] * lattice.uniform(804, 0.6, 1.3)
    cells["nucleoli"] = np.floor(table["nucleoli"] + lattice.uniform(805)).astype(np.uint8)
    cells["cytoplasm"] = table["cytoplasm"] * lattice.uniform(806, 0.6, 1.2)
    cells["priority"], cells["key"] = lattice.uniform(807), lattice.uniform(808)
    cells["gap"] = gap_px * (0.2 + 1.8 * lattice.uniform(809))
    wobble(cells, lattice, table["wobble"])
    return cells


def _scatter(
    layout: Layout, window: Window, stream: int, spacing_px: float
) -> tuple[Lattice, NDArray[np.uint8], Floats]:
    points = Lattice.over(window, layout.seed, stream, spacing_px, 0.36)
    return points, *layout.kind(points.x, points.y)


def _gland_walls(layout: Layout, glands: Blobs) -> Blobs:
    spacing = np.where(glands["atypical"], 17.0, 15.5)
    owner, x, y, tangent = wall_slots(glands, spacing, np.where(glands["atypical"], 15.0, 12.5))
    points = _at(layout, 40, x, y)
    atypical = glands["atypical"][owner]
    shift = np.where(atypical, 5.5, 2.2) * points.normal(20)  # nuclei of atypical glands pile up
    points = _at(layout, 40, x - shift * np.sin(tangent), y + shift * np.cos(tangent))
    tilt = np.where(atypical, 0.55, 0.16) * points.normal(21)
    cells = _born(points, np.where(atypical, TUMOUR, EPITHELIAL), tangent + np.pi / 2 + tilt, 1.0)
    cells["priority"] += 1
    return cells


def _vessel_walls(layout: Layout, vessels: Blobs) -> Blobs:
    _, x, y, tangent = wall_slots(vessels, np.full(len(vessels), 27.0), vessels["wall"] * 0.4)
    cells = _born(_at(layout, 41, x, y), ENDOTHELIAL, tangent)
    cells["bend"] = np.abs(cells["bend"]) * -0.6
    cells["priority"] += 2
    return cells


def _at(layout: Layout, stream: int, x: Floats, y: Floats) -> Lattice:
    """Points that are no lattice's, with private numbers from where they lie."""
    return Lattice(layout.seed, stream, np.round(x * 8).astype(np.int64), np.round(y * 8).astype(np.int64), x, y)


def _solid_tumour(layout: Layout, window: Window) -> Blobs:
    points, kind, _ = _scatter(layout, window, 42, 27.0)
    points = points.where((kind == Tissue.TUMOUR) & (layout.nest(points.x, points.y) > 0.02))
    cells = _born(points, np.where(points.uniform(1) < 0.07, LYMPHOCYTE, TUMOUR), np.pi * points.uniform(2), 2.5)
    cells["priority"] += 0.5
    return cells


def _follicles(layout: Layout, window: Window) -> Blobs:
    points, kind, border = _scatter(layout, window, 43, 16.5)
    keep = (kind == Tissue.LYMPHOID) & (points.uniform(1) < 0.86)
    points, border = points.where(keep), border[keep]
    plasma = points.uniform(2) < np.where(border < 45, 0.30, 0.06)
    cells = _born(points, np.where(plasma, PLASMA, LYMPHOCYTE), np.pi * points.uniform(3), 0.6)
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
    return _born(points, kinds, angle, 4.0)


def _plasma(layout: Layout, window: Window) -> Blobs:
    """Plasma cells lie together in patches of the stroma."""
    points, kind, _ = _scatter(layout, window, 46, 21.0)
    patch = value_noise(layout.seed, 47, points.x, points.y, 170) > 0.42
    points = points.where(patch & ((kind == Tissue.STROMA) | (kind == Tissue.GLAND)) & (points.uniform(1) < 0.75))
    cells = _born(points, np.where(points.uniform(2) < 0.78, PLASMA, LYMPHOCYTE), np.pi * points.uniform(3), 4.0)
    cells["priority"] += 0.3
    return cells


def _muscle(layout: Layout, window: Window) -> Blobs:
    points, kind, border = _scatter(layout, window, 48, 36.0)
    points = points.where((kind == Tissue.MUSCLE) & (border > 4) & (points.uniform(1) < 0.8))
    angle = layout.fibre_angle(points.x, points.y, muscle=True)
    x, y = snap_to_fibre_edge(layout, points.x, points.y, angle)
    kinds = np.where(points.uniform(2) < 0.86, MYOCYTE, FIBROBLAST)
    moved = Lattice(points.seed, points.stream, points.ix, points.iy, x, y)
    return _born(moved, kinds, angle + 0.06 * points.normal(3), 5.0)


def _fat(layout: Layout, window: Window) -> Blobs:
    """Nuclei squeezed into the walls between fat cells."""
    points, kind, _ = _scatter(layout, window, 49, 17.0)
    points = points.where(kind == Tissue.FAT)
    wall, angle = fat_cells(layout.seed, points.x, points.y)
    keep = (wall < 2.2) & (points.uniform(1) < 0.5)
    points, angle = points.where(keep), angle[keep]
    cells = _born(points, np.where(points.uniform(2) < 0.6, FIBROBLAST, ENDOTHELIAL), angle, 6.0)
    cells["b"] = np.minimum(cells["b"], 4.5)
    cells["bend"] = 0.0
    return cells


def named(cells: Blobs, width_px: int) -> NDArray[np.uint32]:
    """A number of its own for each cell of the slide, from its place alone: any block gives a cell the same number.

    A cell's number is that of its square of 32 px and its rank in there, by y and x.
    """
    across = -(-width_px // _SQUARE_PX)
    square = (cells["y"] // _SQUARE_PX).astype(np.int64) * across + (cells["x"] // _SQUARE_PX).astype(np.int64)
    order = np.lexsort((cells["x"], cells["y"], square))
    starts = np.r_[True, square[order][1:] != square[order][:-1]] if len(cells) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(cells)), 0))
    numbers = np.zeros(len(cells), np.uint32)
    numbers[order] = square[order] * _PER_SQUARE + (np.arange(len(cells)) - first) + 1
    return numbers
