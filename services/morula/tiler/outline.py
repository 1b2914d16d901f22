"""Which points of a lattice lie in regions that a person drew."""

import numpy as np
import numpy.typing as npt

from morula.common.compute import Checkpoint
from morula.common.regions import Polygon

Floats = npt.NDArray[np.float64]


def lattice_inside(polygons: list[Polygon], x: Floats, y: Floats, checkpoint: Checkpoint) -> npt.NDArray[np.bool_]:
    """Which points (x[i], y[j]) lie in any of the polygons, row by row; `x` and `y` ascend. All
    of them are level-0 px."""
    inside = np.zeros((len(y), len(x)), bool)
    for rings in polygons:
        checkpoint()
        starts = np.concatenate(rings)
        stops = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
        low, high = starts[:, 1].min(), starts[:, 1].max()
        for row in range(*np.searchsorted(y, [low, high])):
            crossings = _crossings(starts, stops, float(y[row]))
            # A point is inside where an odd number of edges lies to its left.
            inside[row] |= np.searchsorted(crossings, x, side="right") % 2 == 1
    return inside


def _crossings(starts: Floats, stops: Floats, y: float) -> Floats:
    """Where a horizontal line crosses the edges, ascending."""
    crossed = (starts[:, 1] <= y) != (stops[:, 1] <= y)
    (x0, y0), (x1, y1) = starts[crossed].T, stops[crossed].T
    return np.asarray(np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0)))
