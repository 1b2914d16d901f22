"""Compiled loops over lines of tissue: how much denser each is than the lines on both of its sides.

They run row by row and without branches, so that the compiler makes vector code of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morula.common.compiled import compiled, fused

FloatRow = NDArray[np.float32]
FloatRows = NDArray[np.float32]
Layer = NDArray[np.float32]
Layers = NDArray[np.float32]  # Red, green, blue, and the share of tissue.
Places = NDArray[np.int64]  # Rows of y, x.

LAYER_COUNT = 4
LEAST_SHARE = np.float32(1e-3)


@compiled
def raise_ratio(
    best: Layer, layers: Layers, block: Places, line: Places, sides: Places, bounds: FloatRow, means: Layers
) -> None:
    """Raises `best` where lines of one direction are denser than those beside them, in the colour that says least.

    It is done for `block`, of which the first pixel and the size are given. `layers` reach beyond `best` by the same
    margin on every side, far enough for the places along a `line` and for those of the lines beside it: `sides` has
    those on its one side, then as many on its other. `bounds` are the least share of tissue of a line, the least of
    those beside it, the least sum of a line's densities, and what is added to each density.
    `means` is memory for the lines' means, row by row.
    """
    (top, left), (height, width) = block[0], block[1]
    reach = int(np.max(np.abs(sides)))
    margin = (layers.shape[2] - best.shape[1]) // 2 - reach
    for y in range(height + 2 * reach):
        _means(layers, top + margin + y, left + margin, width + 2 * reach, line, bounds[3], means[y])
    beside = np.empty((2, width), np.float32)
    for y in range(height):
        beside[:] = 0
        own = means[y + reach]
        for place in range(len(sides)):
            there = means[y + reach + sides[place, 0]]
            _raise_beside(own, reach, there, reach + sides[place, 1], bounds[1], beside[2 * place // len(sides)])
        _raise_best(own, reach, beside, bounds[0], bounds[2], best[top + y][left : left + width])


@fused
def _means(layers: Layers, top: int, left: int, width: int, line: Places, error: np.float32, means: FloatRows) -> None:
    """Densities of the lines whose middles are a row from (left, top) on, and their shares of tissue."""
    weight, whole = np.float32(1 / len(line)), len(line) // 3 * 3
    for layer in range(LAYER_COUNT):
        total, plane = means[layer], layers[layer]
        total[:width] = 0
        for place in range(0, whole, 3):  # Three at a time: loading and storing the sum costs more than adding.
            one, two, three = line[place], line[place + 1], line[place + 2]
            first = plane[top + one[0]][left + one[1] : left + one[1] + width]
            second = plane[top + two[0]][left + two[1] : left + two[1] + width]
            third = plane[top + three[0]][left + three[1] : left + three[1] + width]
            for x in range(width):
                total[x] = ((total[x] + first[x] * weight) + second[x] * weight) + third[x] * weight
        for place in range(whole, len(line)):
            last = plane[top + line[place, 0]][left + line[place, 1] : left + line[place, 1] + width]
            for x in range(width):
                total[x] += last[x] * weight
    share = means[LAYER_COUNT - 1]
    for layer in range(LAYER_COUNT - 1):
        total = means[layer]
        for x in range(width):
            total[x] = np.divide(total[x], max(share[x], LEAST_SHARE)) + error  # `/` would check for zero.


@compiled
def _raise_beside(
    own: FloatRows, left: int, there: FloatRows, there_left: int, least_tissue: np.float32, beside: FloatRow
) -> None:
    """Raises `beside` to the least ratio of a row of lines to the lines there, where those lie on tissue."""
    stop, there_stop = left + len(beside), there_left + len(beside)
    red, green, blue = own[0][left:stop], own[1][left:stop], own[2][left:stop]
    there_red, there_green = there[0][there_left:there_stop], there[1][there_left:there_stop]
    there_blue, there_share = there[2][there_left:there_stop], there[3][there_left:there_stop]
    for x in range(len(beside)):
        ratio = min(np.divide(red[x], there_red[x]), np.divide(green[x], there_green[x]))
        ratio = min(ratio, np.divide(blue[x], there_blue[x]))
        ratio = ratio if there_share[x] > least_tissue else np.float32(0)
        beside[x] = max(beside[x], ratio)


@compiled
def _raise_best(
    own: FloatRows, left: int, beside: FloatRows, least_tissue: np.float32, least_density: np.float32, best: FloatRow
) -> None:
    """Raises `best` to the ratio on the side that says less, where there is a line of dense tissue."""
    stop = left + len(best)
    red, green, blue, share = own[0][left:stop], own[1][left:stop], own[2][left:stop], own[3][left:stop]
    one, other = beside[0], beside[1]
    for x in range(len(best)):
        is_line = (share[x] > least_tissue) & (red[x] + green[x] + blue[x] > least_density)
        best[x] = max(best[x], min(one[x], other[x]) if is_line else np.float32(0))


def warm() -> None:
    """Compiles them before somebody waits for it."""
    best, layers, means = (np.zeros(shape, np.float32) for shape in ((1, 1), (LAYER_COUNT, 1, 1), (1, LAYER_COUNT, 1)))
    block, here = np.array(((0, 0), (1, 1))), np.zeros((2, 2), np.int64)
    raise_ratio(best, layers, block, here, here, np.ones(LAYER_COUNT, np.float32), means)
