"""The published accuracy: clusters aligned to classes tile by tile, one to one (arXiv 2604.09370, section 4).

Each tile is aligned by its own truth, so that a cluster may mean one class here and another there, and a cluster that
is one too many is wrong however pure it is. One cluster for everything scores what the commonest class of each tile
has; that number stands beside every accuracy as `constant`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from morula.common.compute import Checkpoint, go_on
from morula.evaluator.cells import Cells, Ints, Part

NO_CLASS = -1
"""The class that a surplus cluster is aligned to: `?`, which is always wrong."""
DIGITS = 4
ALL = "all"
MATRIX_ENTRIES = 2_000_000
"""Tiles' confusion matrices are told where all of them together have no more entries."""
LISTED_CELLS = 100_000
"""Which cells of a tile are aligned to what is told where there are no more of them in all."""
CAVEAT = (
    "Each tile is aligned by its own truth, one cluster to one class: everything in one cluster scores `constant`, and "
    "a perfect result with more clusters than classes scores little. It does not say what labels are worth."
)


@dataclass(frozen=True)
class Aligned:
    """The class that each cell's cluster is aligned to in its tile, and the tiles."""

    classes: Ints
    """NO_CLASS where the cluster is one too many."""
    tile: Ints
    rows: list[Ints]
    """Cells of each tile."""

    def matches(self, truth: Ints) -> NDArray[np.bool_]:
        return np.asarray(self.classes == truth)


def align(truth: Ints, cluster: Ints, tile: Ints, checkpoint: Checkpoint = go_on) -> Aligned:
    """Aligns clusters to classes within each tile, for the most cells that agree; noise is a cluster like others."""
    order = np.argsort(tile, kind="stable")
    starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
    rows = np.split(order, starts[1:]) if len(order) else []
    classes = np.full(len(truth), NO_CLASS, np.int64)
    for here in rows:
        checkpoint()
        classes[here] = _align_tile(truth[here], cluster[here])
    return Aligned(classes, tile, rows)


def _align_tile(truth: Ints, cluster: Ints) -> Ints:
    classes, human = np.unique(truth, return_inverse=True)
    clusters, model = np.unique(cluster, return_inverse=True)
    side = max(len(classes), len(clusters))
    counts = np.bincount(model * side + human, minlength=side * side).reshape(side, side)
    rows, columns = linear_sum_assignment(-counts)
    aligned = np.full(side, NO_CLASS, np.int64)
    real = columns < len(classes)
    aligned[rows[real]] = classes[columns[real]]
    return np.asarray(aligned[model])


def tiles_of(cells: Cells) -> tuple[Ints, list[tuple[str, str, str]]]:
    """The tile of each cell, and batch, slide and name of each tile: as published, batches are evaluated apart.

    Without tiles each slide is one; without both all are.
    """
    unknown = Part(np.zeros(len(cells), np.int64), ("",))
    parts = [unknown if part is None else part for part in (cells.batch, cells.slide, cells.tile)]
    sizes = tuple(len(part.names) for part in parts)
    places, codes = np.unique(np.ravel_multi_index([part.codes for part in parts], sizes), return_inverse=True)
    at = np.unravel_index(places, sizes)
    words = [[part.names[code] for code in of.tolist()] for part, of in zip(parts, at, strict=True)]
    return codes.ravel(), list(zip(*words, strict=True))


def score(cells: Cells, checkpoint: Checkpoint = go_on) -> dict[str, Any]:
    """The published numbers of these cells: of all, by tile, batch, tissue and species, and the confusion matrices."""
    tile, names = tiles_of(cells)
    aligned = align(cells.truth.codes, cells.cluster, tile, checkpoint)
    counted = _Counted(cells, aligned, _constant(cells.truth.codes, aligned), names)
    batch = cells.batch or Part(np.zeros(len(cells), np.int64), (ALL,))
    everything = np.arange(len(cells))
    told = {
        "accuracy": counted.accuracy(everything),
        "constant": counted.constant(everything),
        "n_cells": len(cells),
        "n_tiles": len(names),
        "caveat": CAVEAT,
        "tiles": list(counted.tiles()),
        "batches": [
            {"batch": name, **words, **_distinct(cells, rows)} for name, words, rows in counted.parts(batch)
        ],
    }  # fmt: skip
    for plural, part in {"tissues": cells.tissue, "species": cells.species}.items():
        if part is not None:
            told[plural] = [{"name": name, **words} for name, words, _ in counted.parts(part)]
    return told | {"confusion": counted.confusion(everything, all_classes=True)}


def _constant(truth: Ints, aligned: Aligned) -> NDArray[np.bool_]:
    """Whether each cell is right where everything is in one cluster: it is of its tile's commonest class."""
    right = np.zeros(len(truth), bool)
    for rows in aligned.rows:
        classes, counts = np.unique(truth[rows], return_counts=True)
        right[rows] = truth[rows] == classes[counts.argmax()]
    return right


def _distinct(cells: Cells, rows: Ints) -> dict[str, int]:
    return {
        "n_human_clusters": len(np.unique(cells.truth.codes[rows])),
        "n_model_clusters": len(np.unique(cells.cluster[rows])),
    }


@dataclass(frozen=True)
class _Counted:
    cells: Cells
    aligned: Aligned
    is_constant_right: NDArray[np.bool_]
    names: list[tuple[str, str, str]]

    def accuracy(self, rows: Ints) -> float:
        right = self.aligned.classes[rows] == self.cells.truth.codes[rows]
        return round(float(right.sum() / len(rows)), DIGITS)

    def constant(self, rows: Ints) -> float:
        return round(float(self.is_constant_right[rows].sum() / len(rows)), DIGITS)

    def tiles(self) -> Iterator[dict[str, Any]]:
        sizes = [len(np.unique(self.cells.truth.codes[rows])) for rows in self.aligned.rows]
        is_told = sum(size**2 for size in sizes) <= MATRIX_ENTRIES
        listed = self.cells.cell if len(self.cells) <= LISTED_CELLS else None
        for (batch, slide, tile), rows in zip(self.names, self.aligned.rows, strict=True):
            matrix = {"confusion_matrix": self.confusion(rows)} if is_told else {}
            where = {"batch": batch} if batch else {}
            cells = {} if listed is None else {"cells": self.listed(listed, rows)}
            yield {"slide": slide, "tile": tile, **where, "n_cells": len(rows), "accuracy": self.accuracy(rows),
                   "constant": self.constant(rows), **matrix, **cells}  # fmt: skip

    def listed(self, cell: Ints, rows: Ints) -> dict[str, list[int]]:
        """The cells by their rows, and the places of their two classes among the labels of all."""
        columns = {"row": cell, "human": self.cells.truth.codes, "aligned": self.aligned.classes}
        return {name: column[rows].tolist() for name, column in columns.items()}

    def parts(self, part: Part) -> Iterator[tuple[str, dict[str, Any], Ints]]:
        for code in np.unique(part.codes).tolist():
            rows = np.flatnonzero(part.codes == code)
            tiles = len(np.unique(self.aligned.tile[rows]))
            yield part.names[code], {"n_cells": len(rows), "n_tiles": tiles, "accuracy": self.accuracy(rows),
                                     "constant": self.constant(rows)}, rows  # fmt: skip

    def confusion(self, rows: Ints, *, all_classes: bool = False) -> dict[str, Any]:
        """Rows are the truth, columns what clusters are aligned to; cells of surplus clusters are counted beside."""
        truth, aligned = self.cells.truth.codes[rows], self.aligned.classes[rows]
        count = len(self.cells.truth.names)
        seen = np.arange(count) if all_classes else np.unique(truth)
        place = np.full(count, -1)
        place[seen] = np.arange(len(seen))
        there = aligned != NO_CLASS
        matrix = np.zeros((len(seen), len(seen)), np.int64)
        np.add.at(matrix, (place[truth[there]], place[aligned[there]]), 1)
        surplus = np.bincount(place[truth[~there]], minlength=len(seen))
        return {"labels": [self.cells.truth.names[code] for code in seen.tolist()], "matrix": matrix.tolist(),
                "?": surplus.tolist()}  # fmt: skip
