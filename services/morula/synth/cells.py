"""The types of cells: their shape, size and stain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.synth.noise import Floats, Lattice
from morula.synth.shapes import BLOB_FIELDS, Blobs, wobble

CELL = np.dtype(
    [*BLOB_FIELDS, ("kind", "u1"), ("priority", "f8"), ("gap", "f8"), ("tone", "f8"), ("chromatin", "f8"),
     ("nucleoli", "u1"), ("softness", "f8"), ("cytoplasm", "f8"), ("key", "f8")]
)  # fmt: skip
CLASSES = ("epithelial", "tumour", "fibroblast", "endothelial", "lymphocyte", "plasma", "myocyte")
CROWDED, DEEPEST_OVERLAP_PX = 0.5, 8.0  # share of nuclei that do not mind lying over others, and how far
FADED = 0.22
EPITHELIAL, TUMOUR, FIBROBLAST, ENDOTHELIAL, LYMPHOCYTE, PLASMA, MYOCYTE = range(7)


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
    CellType(9.4, 0.13, 0.70, 0.09, 0.92, 0.15, 0.34, 0.06, 0.10, 0.5, 0.0),
    CellType(11.4, 0.19, 0.75, 0.11, 0.98, 0.19, 0.42, 0.11, 0.15, 1.3, 0.0),
    CellType(12.6, 0.22, 0.35, 0.09, 1.03, 0.19, 0.28, 0.07, 0.50, 0.2, 0.5),
    CellType(10.3, 0.18, 0.41, 0.09, 1.13, 0.17, 0.26, 0.06, 0.55, 0.1, 0.3),
    CellType(6.9, 0.12, 0.89, 0.07, 1.40, 0.18, 0.30, 0.05, 0.05, 0.0, 0.2),
    CellType(7.5, 0.12, 0.82, 0.08, 1.26, 0.17, 0.58, 0.05, 0.05, 0.1, 1.1),
    CellType(11.9, 0.19, 0.36, 0.08, 0.98, 0.17, 0.27, 0.05, 0.30, 0.2, 0.0),
)


def born(lattice: Lattice, kinds: NDArray[np.int64] | int, angle: Floats | float, gap_px: float = 1.5) -> Blobs:
    """Nuclei of the given types at the lattice's points, each with its own shape and stain."""
    cells = np.zeros(len(lattice.x), CELL)
    kind = np.broadcast_to(np.asarray(kinds, np.int64), cells.shape)
    table = {name: np.array([getattr(t, name) for t in TYPES])[kind] for name in CellType.__dataclass_fields__}
    cells["x"], cells["y"], cells["kind"], cells["angle"] = lattice.x, lattice.y, kind, angle
    half = table["half_length_px"] * np.exp(table["length_spread"] * lattice.normal(800))
    cells["a"] = np.clip(half, 5.2, 24)
    cells["b"] = cells["a"] * np.clip(table["aspect"] + table["aspect_spread"] * lattice.normal(801), 0.24, 0.98)
    cells["bend"] = table["bend"] * lattice.uniform(802, -1, 1)
    cells["tone"] = np.clip(table["tone"] + table["tone_spread"] * lattice.normal(803), 0.55, 2.0)
    cells["chromatin"] = table["chromatin"] * lattice.uniform(804, 0.6, 1.3)
    cells["nucleoli"] = np.floor(table["nucleoli"] + lattice.uniform(805)).astype(np.uint8)
    cells["cytoplasm"] = table["cytoplasm"] * lattice.uniform(806, 0.6, 1.2)
    cells["priority"], cells["key"] = lattice.uniform(807), lattice.uniform(808)
    cells["gap"] = 2 * gap_px * lattice.uniform(809) - 1.6  # below zero: they touch, and one lies over the other
    crowded = lattice.uniform(824) < CROWDED
    cells["gap"] = np.where(crowded, lattice.uniform(825, -DEEPEST_OVERLAP_PX, -2.0), cells["gap"])
    faded = lattice.uniform(820) < FADED  # half out of the focal plane
    cells["softness"] = np.where(faded, lattice.uniform(821, 2.5, 5.0), 1.2)
    cells["tone"] *= np.where(faded, lattice.uniform(822, 0.24, 0.60), 1.0)
    grazed = np.sqrt(1 - (0.8 * lattice.uniform(823) ** 5) ** 2)  # the knife does not always meet the middle
    cells["a"], cells["b"] = cells["a"] * grazed, np.maximum(cells["b"] * grazed, 2.8)
    wobble(cells, lattice, table["wobble"])
    return cells
