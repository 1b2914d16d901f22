"""Compiled loops over a tile's grey levels: edges as OpenCV's Canny finds them, and sums.

They run row by row on lines of 16-bit numbers and without branches, so that the compiler makes vector code of them;
edges are followed 64 pixels at a time. Whole numbers throughout: the results are OpenCV's exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morula.common.compiled import compiled
from morula.tiler import lines, planes

Grey = NDArray[np.uint8]
Marks = NDArray[np.uint8]
GreyLine = NDArray[np.uint8]
Line = NDArray[np.int16]
Lines = NDArray[np.int16]
Words = NDArray[np.uint64]

TAN_22_5 = 13573  # In 2**-15, as OpenCV rounds it.
WORD_PX = 64
BLOCK_PX = 1024  # The squares of so many Laplacians fit 32 bits.
ONE, TOP = np.uint64(1), np.uint64(WORD_PX - 1)
EVERY_BYTE, LAST_BYTE = np.uint64(0x0101010101010101), np.uint64(56)
EVERY_OTHER, PAIRS, FOURS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)


def count_edges(grey: Grey, low: int, high: int) -> int:
    """How many pixels `cv2.Canny(grey, low, high)` sets."""
    marks = _mark_edges(grey, low, high)
    words = np.packbits(marks.ravel(), bitorder="little").view(np.uint64)
    return _follow(words.reshape(2, grey.shape[0], -1))


@compiled
def _mark_edges(grey: Grey, low: int, high: int) -> Marks:
    """Pixels that may belong to an edge, and those of them that surely do; lines are filled up to whole words."""
    height, width = grey.shape
    marks = np.empty((2, height, -(-width // WORD_PX) * WORD_PX), np.uint8)
    marks[:, :, width:] = 0
    columns, slopes = np.empty((2, width + 2), np.int16), np.empty((3, 2, width), np.int16)
    strength = np.zeros((3, width + 2), np.int16)  # Three lines are in use at a time; beyond the picture it is 0.
    for y in range(height + 1):
        if y < height:
            _slopes(grey, y, columns, slopes[y % 3], strength[y % 3])
        else:
            strength[y % 3] = 0
        if y > 0:
            _thin(strength, slopes[(y + 2) % 3], y, np.int16(low), np.int16(high), marks[:, y - 1])
    return marks


@compiled
def _slopes(grey: Grey, y: int, columns: Lines, slopes: Lines, strength: Line) -> None:
    """Sobel's two derivatives of a line, and the sum of their sizes; the picture's edge goes on beyond it."""
    width = grey.shape[1]
    above, below = grey[max(y - 1, 0)], grey[min(y + 1, grey.shape[0] - 1)]
    _weigh(above, grey[y], below, columns[0][1 : width + 1])
    _subtract(above, below, columns[1][1 : width + 1])
    for row in range(2):
        columns[row, 0], columns[row, width + 1] = columns[row, 1], columns[row, width]
    _derive(columns[0], columns[1], slopes[0], slopes[1], strength[1 : width + 1])


# Keep these loops apart: the compiler makes no vector code of a loop that writes two lines.


@compiled
def _weigh(above: GreyLine, here: GreyLine, below: GreyLine, weighed: Line) -> None:
    for x in range(len(weighed)):
        middle, outer = np.int16(here[x]), np.int16(np.int16(above[x]) + np.int16(below[x]))
        weighed[x] = outer + np.int16(middle + middle)


@compiled
def _subtract(above: GreyLine, below: GreyLine, differences: Line) -> None:
    for x in range(len(differences)):
        differences[x] = np.int16(below[x]) - np.int16(above[x])


@compiled
def _derive(weighed: Line, differences: Line, across: Line, along: Line, strength: Line) -> None:
    for x in range(len(strength)):
        dx = np.int16(weighed[x + 2] - weighed[x])
        beside, twice = np.int16(differences[x] + differences[x + 2]), np.int16(differences[x + 1] << 1)
        dy = np.int16(beside + twice)
        across[x], along[x] = dx, dy
        strength[x] = (dx if dx >= 0 else np.int16(-dx)) + (dy if dy >= 0 else np.int16(-dy))


@compiled
def _thin(strength: Lines, slopes: Lines, y: int, low: np.int16, high: np.int16, marks: Grey) -> None:
    """Marks the pixels of line y - 1 that are strongest across their edge, and those above the higher threshold.

    OpenCV compares |dy| with the tangents of 22.5 and 67.5 degrees times |dx| in 2**-15; the same in whole numbers
    is |dy| <= q and |dy| > 2 |dx| + q, where q is the tangent times |dx| rounded down (equal only where both are 0).
    """
    above, here, below = (y + 1) % 3, (y + 2) % 3, y % 3
    for x in range(slopes.shape[1]):
        across, along = slopes[0, x], slopes[1, x]
        falls = np.int16(across ^ along) >= 0
        across, along = across if across >= 0 else np.int16(-across), along if along >= 0 else np.int16(-along)
        twice = np.int16(across + across)
        tangent = np.int16((np.int32(twice) * np.int32(TAN_22_5)) >> 16)
        is_flat, is_steep = along <= tangent, along > np.int16(twice + tangent)
        # Load all, then choose: a load under a condition would be a branch.
        left, right, up, down = strength[here, x], strength[here, x + 2], strength[above, x + 1], strength[below, x + 1]
        up_left, up_right, down_left, down_right = (
            strength[above, x],
            strength[above, x + 2],
            strength[below, x],
            strength[below, x + 2],
        )
        before, after = up_left if falls else up_right, np.int16((down_right if falls else down_left) + np.int16(1))
        before, after = up if is_steep else before, down if is_steep else after
        before, after = left if is_flat else before, right if is_flat else after
        size = strength[here, x + 1]
        mark = np.uint8(2) if size > high else np.uint8(1)
        marks[0, x] = mark if (size > low) & (size > before) & (size >= after) else np.uint8(0)
    for x in range(slopes.shape[1]):
        marks[1, x] = marks[0, x] >> np.uint8(1)


@compiled
def _follow(marks: Words) -> int:
    """How many marked pixels are strong or hang together with a strong one, all eight neighbours counting."""
    height, count = marks.shape[1], marks.shape[2]
    marked, edges = np.zeros((height + 2, count + 2), np.uint64), np.zeros((height + 2, count + 2), np.uint64)
    marked[1 : height + 1, 1 : count + 1], edges[1 : height + 1, 1 : count + 1] = marks[0], marks[1]
    is_due, spreads = np.ones(height + 2, np.bool_), True
    while spreads:
        spreads = False
        for way in (range(1, height + 1), range(height, 0, -1)):
            for y in way:
                if is_due[y]:
                    is_due[y] = False
                    if _spread(edges[y], marked[y], edges[y - 1], edges[y + 1]):
                        spreads = is_due[y - 1] = is_due[y + 1] = True
    total = np.uint64(0)
    for y in range(1, height + 1):
        for word in edges[y]:
            total += _bit_count(word)
    return int(total)


@compiled
def _spread(edges: Words, marked: Words, above: Words, below: Words) -> bool:
    """Grows a line's edges into what is marked beside them and beside both next lines' edges; whether they grew."""
    grown, carry = np.uint64(0), np.uint64(0)
    left, near = np.uint64(0), above[1] | below[1]
    for word in range(1, len(edges) - 1):
        free, right = marked[word], above[word + 1] | below[word + 1]
        beside = near | (near << ONE) | (near >> ONE) | (left >> TOP) | (right << TOP)
        left, near = near, right
        reached = (edges[word] | beside | carry) & free
        reached = (((free + reached) ^ free) | reached) & free  # The sum's carry runs through what is marked, upwards.
        carry = reached >> TOP
        grown |= reached ^ edges[word]
        edges[word] = reached
    carry = np.uint64(0)
    for word in range(len(edges) - 2, 0, -1):
        free = marked[word]
        reached = edges[word] | ((carry << TOP) & free)
        if (reached >> ONE) & free & ~reached:  # Seldom: most lines run on for a pixel or two.
            for step in (1, 2, 4, 8, 16, 32):
                reached |= free & (reached >> np.uint64(step))
                free &= free >> np.uint64(step)
        carry = reached & ONE
        grown |= reached ^ edges[word]
        edges[word] = reached
    return bool(grown != 0)


@compiled
def _bit_count(word: np.uint64) -> np.uint64:
    word -= (word >> ONE) & EVERY_OTHER
    word = (word & PAIRS) + ((word >> np.uint64(2)) & PAIRS)
    return (((word + (word >> np.uint64(4))) & FOURS) * EVERY_BYTE) >> LAST_BYTE


@compiled
def sum_laplacian(grey: Grey) -> tuple[int, int]:
    """Sum of the Laplacian and of its squares; beyond its edge the picture is mirrored, as is OpenCV's default."""
    height, width = grey.shape
    values, squares = np.empty(width, np.int16), 0
    for y in range(height):
        above, here, below = grey[_mirrored(y - 1, height)], grey[y], grey[_mirrored(y + 1, height)]
        _laplacian(above[1:-1], here, below[1:-1], values[1:-1])
        for x in range(0, width, max(1, width - 1)):  # The first and the last.
            beside = np.int16(here[_mirrored(x - 1, width)]) + np.int16(here[_mirrored(x + 1, width)])
            values[x] = np.int16(above[x]) + np.int16(below[x]) + beside - 4 * np.int16(here[x])
        for start in range(0, width, BLOCK_PX):
            squares += _sum_squares(values[start : start + BLOCK_PX])
    return _sum_at_edges(grey), squares


@compiled
def _laplacian(above: GreyLine, here: GreyLine, below: GreyLine, values: Line) -> None:
    left, middle, right = here[:-2], here[1:-1], here[2:]
    for x in range(len(values)):
        outer = np.int16(np.int16(above[x]) + np.int16(below[x]))
        beside = np.int16(np.int16(left[x]) + np.int16(right[x]))
        values[x] = np.int16(outer + beside) - np.int16(np.int16(middle[x]) << 2)


@compiled
def _sum_squares(values: Line) -> int:
    total = np.int32(0)
    for x in range(len(values)):
        value = np.int32(values[x])
        total = np.int32(total + np.int32(value * value))
    return int(total)


@compiled
def _sum_at_edges(grey: Grey) -> int:
    """Sum of the Laplacian. Each pixel is taken away as often as it is added, but for those at and beside an edge."""
    height, width = grey.shape
    total = 0
    for y in range(height):
        for edge, beside in ((0, _mirrored(-1, width)), (width - 1, _mirrored(width, width))):
            total += int(grey[y, beside]) - int(grey[y, edge])
    for edge, beside in ((0, _mirrored(-1, height)), (height - 1, _mirrored(height, height))):
        for x in range(width):
            total += int(grey[beside, x]) - int(grey[edge, x])
    return total


@compiled
def _mirrored(place: int, length: int) -> int:
    """The place inside a line that a place just beyond it shows."""
    if length == 1:
        return 0
    return 1 if place < 0 else length - 2 if place == length else place


def warm() -> None:
    """Compiles all loops of the tiler, which takes seconds where they never ran, before somebody waits for them."""
    grey = np.zeros((1, 1), np.uint8)
    count_edges(grey, 0, 0)
    sum_laplacian(grey)
    lines.warm()
    planes.warm()
