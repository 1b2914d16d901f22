"""Is there structure at all? A test that can say no.

Two clusters are apart if there is a valley between them: along the axis that joins them, within a straight tube, some
stretch holds fewer cells than an equal stretch on either side. One cloud whose density is log-concave (a Gaussian, a
uniform body, a gradient) has no valley along any axis in any tube; a curved filament has none between pieces that
touch. So a split of the tree counts as supported only if the *nearest* pairs of pieces across it all show a valley.

Axis, tube and stretches are chosen on one half of the rows, cells are counted on the other half. Without a valley the
mean density of the middle stretch is at least that of one of the others, whatever their lengths: one of the two
binomial tests then holds its level. No tables, no simulation, any number of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from morula.clusterer.arrays import Doubles, Floats, Leaves, Rows, sample_rows
from morula.clusterer.tree import Structure, Tree

ROWS = 20_000
PIECES = 16
PAIRS = 2
LEVEL = 0.02
VALLEYS = (0.2, 0.4)
"""Lengths of the middle stretch that are tried, in distances between the two pieces."""
SIDES = (0.25, 0.5, 1.0)
"""Lengths of the stretches on either side."""
BEYOND = 1.0
"""How far beyond a piece's centre its side's stretch may lie, in the same unit."""
TUBE = 0.9
"""Share of the pieces' own cells that the tube holds."""
STEP = 0.05


@dataclass(frozen=True)
class Verdict:
    """The test of one split."""

    p_value: float
    depth: float
    """Share of a valley's cells that are missing, by the shallower side; 0 where there is no valley."""


Stretch = tuple[float, float]
"""Start and length."""


@dataclass(frozen=True)
class _Stretches:
    """Tube and places of the three stretches, found on the first half."""

    origin: Doubles
    axis: Doubles
    length: float
    radius: float
    left: Stretch
    valley: Stretch
    right: Stretch


def examine(tree: Tree, leaf: Leaves, matrix: Floats | np.ndarray, seed: int) -> tuple[Structure, frozenset[int]]:
    """The verdict on the whole, and the nodes whose split from their sibling is supported."""
    rows = sample_rows(len(leaf), ROWS, seed)
    rows = rows[leaf[rows] < tree.leaf_count]
    nodes = tree.cut_nodes(PIECES)
    if len(nodes) < 2 or len(rows) < 2:
        return Structure(False, 1.0, 0.0), frozenset()
    piece_of_leaf = np.zeros(tree.leaf_count, np.int64)
    for piece, node_id in enumerate(nodes):
        piece_of_leaf[tree.leaves_below(node_id)] = piece
    first = np.zeros(len(rows), bool)
    first[np.random.default_rng(seed).permutation(len(rows))[: len(rows) // 2]] = True
    halves = Halved(np.asarray(matrix[rows], np.float64), piece_of_leaf[leaf[rows]], first)
    splits = _splits(tree, nodes)
    verdicts = {node_id: halves.split(*sides) for node_id, sides in splits.items()}
    best = min(verdicts.values(), key=lambda verdict: verdict.p_value)
    p_value = min(1.0, best.p_value * len(verdicts))
    supported = {node for node, verdict in verdicts.items() if verdict.p_value * len(verdicts) < LEVEL}
    children = frozenset(child for node in supported for child in tree.node(node).children)
    return Structure(bool(supported), float(f"{p_value:.4g}"), round(best.depth, 4)), children


class Halved:
    """Rows in pieces, halved: choose on the first half, count on the second."""

    def __init__(self, rows: Doubles, piece: Rows, first: np.ndarray) -> None:
        self._fit, self._fit_piece, self._count = rows[first], piece[first], rows[~first]
        numbers = range(int(piece.max()) + 1)
        members = [self._fit[self._fit_piece == number] for number in numbers]
        self._centres = {number: rows.mean(axis=0) for number, rows in zip(numbers, members, strict=True) if len(rows)}

    def split(self, left: Sequence[int], right: Sequence[int]) -> Verdict:
        """Verdict on the nearest pairs of pieces across a split: the weakest of them."""
        pairs = [(a, b) for a in left for b in right if a in self._centres and b in self._centres]
        pairs.sort(key=lambda pair: (float(np.linalg.norm(self._centres[pair[0]] - self._centres[pair[1]])), pair))
        verdicts = [self._pair(*pair) for pair in pairs[:PAIRS]]
        return max(verdicts, key=lambda verdict: verdict.p_value, default=Verdict(1.0, 0.0))

    def _pair(self, a: int, b: int) -> Verdict:
        stretches = self._choose(a, b)
        if stretches is None:
            return Verdict(1.0, 0.0)
        along = np.sort(_along(self._count, stretches.origin, stretches.axis, stretches.length, stretches.radius))
        valley = int(_held(along, *stretches.valley))
        p_values, depths = [], []
        for side in (stretches.left, stretches.right):
            held, ratio = int(_held(along, *side)), stretches.valley[1] / side[1]
            p_values.append(float(binom.cdf(valley, valley + held, ratio / (1.0 + ratio))))
            depths.append(1.0 - valley / (held * ratio) if held else 0.0)
        return Verdict(max(p_values), max(0.0, min(depths)))

    def _choose(self, a: int, b: int) -> _Stretches | None:
        origin, axis = self._centres[a], self._centres[b] - self._centres[a]
        length = float(np.linalg.norm(axis))
        if length == 0.0:
            return None
        axis = axis / length
        members = self._fit[(self._fit_piece == a) | (self._fit_piece == b)]
        radius = float(np.quantile(_across(members, origin, axis), TUBE))
        along = np.sort(_along(self._fit, origin, axis, length, radius))
        left, valley, right = _deepest(along)
        return _Stretches(origin, axis, length, radius, left, valley, right)


def _deepest(along: Doubles) -> tuple[Stretch, Stretch, Stretch]:
    """The valley whose weaker side stands highest above it, by the normal score of its count against what is held."""
    best, spans = -np.inf, ((0.0, 0.25), (0.25, 0.2), (0.75, 0.25))
    for length in VALLEYS:
        for start in np.arange(0.1, 0.9 - length + STEP / 2, STEP):
            held = float(_held(along, float(start), length))
            left = _strongest(along, held, length, -BEYOND, start)
            right = _strongest(along, held, length, start + length, 1.0 + BEYOND)
            if min(left[0], right[0]) > best:
                best, spans = min(left[0], right[0]), (left[1], (float(start), length), right[1])
    return spans


def _strongest(along: Doubles, valley: float, length: float, low: float, high: float) -> tuple[float, Stretch]:
    """The stretch between two places that most exceeds the valley, and its score."""
    best: tuple[float, Stretch] = (-np.inf, (low, SIDES[0]))
    for side in SIDES:
        starts = np.arange(low, high - side + STEP / 2, STEP)
        if not len(starts):
            continue
        held = _held(along, starts, side)
        share = side / (side + length)
        scores = (held - share * (held + valley)) / np.sqrt(share * (1 - share) * (held + valley) + 1.0)
        place = int(scores.argmax())
        best = max(best, (float(scores[place]), (float(starts[place]), side)))
    return best


def _held(along: Doubles, start: float | Doubles, length: float) -> Rows:
    """Cells in a stretch of sorted places."""
    held: Rows = np.searchsorted(along, start + length) - np.searchsorted(along, start)
    return held


def _across(rows: Doubles, origin: Doubles, axis: Doubles) -> Doubles:
    offset = rows - origin
    along = offset @ axis
    across: Doubles = np.sqrt(np.maximum(np.square(offset).sum(axis=1) - along**2, 0.0))
    return across


def _along(rows: Doubles, origin: Doubles, axis: Doubles, length: float, radius: float) -> Doubles:
    inside = rows[_across(rows, origin, axis) <= radius]
    along: Doubles = ((inside - origin) @ axis) / length
    return along


def _splits(tree: Tree, cut: Sequence[int]) -> Mapping[int, tuple[list[int], list[int]]]:
    """Nodes above the cut, and which pieces lie on either side of each."""
    place = {node_id: piece for piece, node_id in enumerate(cut)}
    below: dict[int, list[int]] = {node_id: [piece] for node_id, piece in place.items()}
    splits: dict[int, tuple[list[int], list[int]]] = {}
    for node in sorted(tree.nodes, key=lambda node: node.id):
        sides = [below.get(child, []) for child in node.children]
        if len(sides) == 2 and all(sides) and node.id not in place:
            splits[node.id] = (sides[0], sides[1])
            below[node.id] = sides[0] + sides[1]
    return splits
