"""Truth of a synthetic slide, matched to the cells that were found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.spatial import KDTree

from morula.synth import MPP

REACH_UM = 4.0
"""How far a cell's centroid may lie from its truth's: about a nucleus's radius."""
NOBODY = -1

Points = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """The true cells of a slide."""

    points: Points
    names: NDArray[np.str_]

    @classmethod
    def read(cls, path: Path) -> Truth:
        table = pq.read_table(path, columns=["x_px", "y_px", "class"])
        points = np.column_stack([table["x_px"].to_numpy(), table["y_px"].to_numpy()])
        # As people write the names of classes: where a label set has one already, no second one is added.
        names = [str(name).capitalize() for name in table["class"].to_pylist()]
        return cls(points, np.array(names, dtype=np.str_))


@dataclass(frozen=True)
class Match:
    """Which true cell each found cell is."""

    truth: Truth
    truth_of_cell: Numbers
    """Number of the true cell, -1 where the found cell is none."""

    @property
    def detection_f1(self) -> float:
        """2 x matched / (found + true)."""
        cell_count, truth_count = len(self.truth_of_cell), len(self.truth.points)
        return float(2 * self._matched_count() / max(cell_count + truth_count, 1))

    @property
    def match_rate(self) -> float:
        """Share of true cells that were found."""
        return float(self._matched_count() / max(len(self.truth.points), 1))

    def name(self, row: int) -> str | None:
        """What an annotator who knows tissue calls this cell; None where it is no cell."""
        number = self.truth_of_cell[row]
        return None if number == NOBODY else str(self.truth.names[number])

    def _matched_count(self) -> int:
        return int(np.count_nonzero(self.truth_of_cell != NOBODY))


def match(cells: Points, truth: Truth) -> Match:
    """One to one, the closest pairs first."""
    truth_of_cell = np.full(len(cells), NOBODY, dtype=np.int64)
    if not len(cells) or not len(truth.points):
        return Match(truth, truth_of_cell)
    pairs = KDTree(cells).sparse_distance_matrix(KDTree(truth.points), REACH_UM / MPP, output_type="ndarray")
    taken: set[int] = set()
    for pair in pairs[np.lexsort((pairs["j"], pairs["i"], pairs["v"]))]:
        cell, true = int(pair["i"]), int(pair["j"])
        if truth_of_cell[cell] == NOBODY and true not in taken:
            truth_of_cell[cell] = true
            taken.add(true)
    return Match(truth, truth_of_cell)
