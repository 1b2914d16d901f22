"""Outlines of cells as polygons on pixel edges: rasterised on the same grid they give back the mask exactly.

All cells of a region are traced at once. Every side of a pixel that faces another label is a directed edge with its
pixel on the right hand (y points down, so exteriors are counter-clockwise in the mathematical sense). An edge knows
which edge follows it, and the rings are put in order by pointer doubling: no loop over cells, no loop over pixels.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from skimage.measure import label

# Directions in order of right turns on the screen: along a pixel's top, down its right, back below it, up its left.
_STEP_X = np.array([1, 0, -1, 0])
_STEP_Y = np.array([0, 1, 0, -1])
# Corner of the pixel at which each side starts.
_START_X = np.array([0, 1, 1, 0])
_START_Y = np.array([0, 0, 1, 1])


def separate(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keeps the largest piece (by shared sides) of every label, and numbers labels 1..n in their old order.

    A piece that hangs on by a corner only would make a polygon that touches itself, which no reader accepts.
    """
    pieces, piece_count = label(labels, background=0, connectivity=1, return_num=True)  # type: ignore[no-untyped-call]
    if piece_count == 0:
        return np.zeros(labels.shape, np.int32)
    areas = np.bincount(pieces.ravel(), minlength=piece_count + 1)
    owner = np.zeros(piece_count + 1, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    # Of each owner the first by area, then by raster order.
    order = np.lexsort((np.arange(piece_count + 1), -areas, owner))
    first = order[np.r_[True, np.diff(owner[order]) != 0]]
    number = np.zeros(piece_count + 1, np.int32)
    kept = first[owner[first] > 0]
    number[kept] = np.arange(1, kept.size + 1)
    numbered: NDArray[np.int32] = number[pieces]
    return numbered


def trace(labels: NDArray[np.int32]) -> NDArray[np.object_]:
    """Polygons of labels 1..n, each connected by sides, in working px; `trace(...)[k]` is label k + 1."""
    padded = np.pad(labels, 1)
    pixel, direction = _edges(padded)
    if pixel.size == 0:
        return np.empty(0, object)
    ring, position = _rings(_successors(padded, pixel, direction))
    order = np.empty(pixel.size, np.int64)
    ring_start = np.r_[0, np.cumsum(np.bincount(ring))]
    order[ring_start[ring] + position] = np.arange(pixel.size)

    # Only corners are vertices: edges that differ in direction from the one before them in their ring.
    before = np.arange(pixel.size) - 1
    before[ring_start[:-1]] = ring_start[1:] - 1
    turned = direction[order]
    corner = order[turned != turned[before]]
    row, column = np.divmod(pixel[corner], padded.shape[1])
    x = column - 1 + _START_X[direction[corner]]
    y = row - 1 + _START_Y[direction[corner]]
    return _polygons(x, y, ring[corner], padded.ravel()[pixel[order[ring_start[:-1]]]])


def _edges(padded: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat pixel and direction of every side that faces another label."""
    inside = np.zeros(padded.shape, bool)
    inside[1:-1, 1:-1] = padded[1:-1, 1:-1] > 0
    edges = []
    for step_y, step_x in ((-1, 0), (0, 1), (1, 0), (0, -1)):
        other = np.roll(padded, (-step_y, -step_x), axis=(0, 1))
        edges.append(np.flatnonzero(inside & (other != padded)))
    return np.concatenate(edges), np.repeat(np.arange(4), [f.size for f in edges])


def _successors(padded: NDArray[np.int32], pixel: NDArray[np.int64], direction: NDArray[np.int64]) -> NDArray[np.int64]:
    """The edge that follows each edge: around the pixel diagonally ahead, else straight on, else around its own pixel.

    Taking the diagonal pixel first makes a hole that meets the exterior at a corner a ring of its own.
    """
    flat, width = padded.ravel(), padded.shape[1]
    own = flat[pixel]
    ahead = pixel + (_STEP_Y * width + _STEP_X)[direction]
    left = (direction - 1) % 4
    diagonal = ahead + (_STEP_Y * width + _STEP_X)[left]
    is_left, is_straight = flat[diagonal] == own, flat[ahead] == own
    next_pixel = np.where(is_left, diagonal, np.where(is_straight, ahead, pixel))
    next_direction = np.where(is_left, left, np.where(is_straight, direction, (direction + 1) % 4))
    # The largest array of all, though it is read in few places.
    number = np.empty(4 * flat.size, np.int32)
    number[direction * flat.size + pixel] = np.arange(pixel.size, dtype=np.int32)
    successors: NDArray[np.int64] = number[next_direction * flat.size + next_pixel].astype(np.int64)
    return successors


def _rings(successor: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ring of each edge, and its position in the ring."""
    edges = np.arange(successor.size)
    leader, jump = edges, successor
    while True:
        lower = np.minimum(leader, leader[jump])
        if np.array_equal(lower, leader):
            break
        leader, jump = lower, jump[jump]

    to_leader = np.where(edges == leader, 0, 1)
    jump = np.where(edges == leader, edges, successor)
    while not np.array_equal(jump, leader):
        to_leader = to_leader + to_leader[jump]
        jump = jump[jump]
    _, ring, length = np.unique(leader, return_inverse=True, return_counts=True)
    return ring, (length[ring] - to_leader) % length[ring]


def _polygons(
    x: NDArray[np.int64], y: NDArray[np.int64], ring: NDArray[np.int64], ring_label: NDArray[np.int32]
) -> NDArray[np.object_]:
    starts = np.r_[0, np.flatnonzero(np.diff(ring)) + 1]
    following = np.arange(1, x.size + 1)
    following[np.r_[starts[1:], x.size] - 1] = starts
    twice_area = np.add.reduceat(x * y[following] - x[following] * y, starts)
    rings = shapely.linearrings(np.stack([x, y], axis=1).astype(np.float64), indices=ring)
    order = np.lexsort((twice_area < 0, ring_label))
    polygons: NDArray[np.object_] = shapely.polygons(rings[order], indices=ring_label[order] - 1)
    return polygons
