"""Outlines that cross themselves, mended as long as that is quick: what crosses itself a thousand times takes half a
second, four times as often nine times as long."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from morula.common.errors import InvalidArgument

MOST_CORNERS = 20_000
MOST_CROSSINGS = 200
"""Of one outline. What people draw crosses itself a few times."""
MOST_IN_ALL = 20_000
AT_ONCE = 256
"""Sides that are held against all others at once."""


class Mender:
    """Mends the outlines of one truth."""

    def __init__(self) -> None:
        self._left = MOST_IN_ALL

    def mended(self, shape: Any, number: int) -> Any:
        """The shape of a feature as it is if it crosses itself nowhere, else in parts that do not."""
        if shape.is_valid:
            return shape
        corners = shapely.get_num_coordinates(shape)
        crossings = _crossing_count(shape) if corners <= MOST_CORNERS else MOST_CROSSINGS + 1
        self._left -= crossings
        if crossings > MOST_CROSSINGS or self._left < 0:
            raise InvalidArgument(f"feature {number} of the truth, of {corners:,} corners, crosses itself too often")
        return shapely.make_valid(shape)


def _crossing_count(shape: Any) -> int:
    """How often sides meet but where one ends and the next begins; no more than is too often need be counted."""
    sides = _sides(shape)
    tree = shapely.STRtree(sides)
    count = 0
    for start in range(0, len(sides), AT_ONCE):
        some = sides[start : start + AT_ONCE]
        # Each meets itself and its two neighbours.
        count += len(tree.query(some, predicate="intersects")[0]) - 3 * len(some)
        if count > 2 * MOST_CROSSINGS:
            break
    return max(0, count) // 2


def _sides(shape: Any) -> Any:
    rings = shapely.get_rings(shapely.get_parts(shape))
    corners = [shapely.get_coordinates(ring) for ring in rings]
    return shapely.linestrings(np.concatenate([np.stack([ring[:-1], ring[1:]], axis=1) for ring in corners]))
