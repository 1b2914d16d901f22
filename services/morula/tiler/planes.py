"""Compiled loops over a picture's colours: what is tissue, what is ink, sums.

They run row by row, and without branches but for the few pixels that may be ink, so that the compiler makes vector code
of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morula.common.compiled import compiled

Pixels = NDArray[np.uint8]
Plane = NDArray[np.uint8]
Colours = NDArray[np.uint8]  # Red, green and blue of all pixels, each by itself.
Mask = NDArray[np.bool_]
ByteRow = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Inks = NDArray[np.int64]  # The least and the most hue, saturation and value of each.
Sixteens = NDArray[np.uint16]
Weights = tuple[np.uint16, np.uint16, np.uint16, np.uint16]  # Of red, green and blue, and what is added.
Sums = NDArray[np.int64]

MAJORITY = np.uint8(5)  # Of the nine pixels around one: their median is above a level where so many are.
COUNTED_ROWS = 255  # Counts of so many rows fit 8 bits.
SUMMED_ROWS = 256  # Sums of so many rows fit 16 bits.
GREY_ROWS = 8  # At once: lines long enough for vectors, and short enough for the nearest cache.
DARK_INK = np.int16(49)
HSV_SHIFT, HSV_HUES = 12, 180  # OpenCV's whole numbers: in 2**-12, and half degrees.


@compiled
def mark_tissue(pixels: Pixels, least_light: int, most_dark: int) -> Mask:
    """Pixels whose brightest colour is at least `least_light` and whose darkest at most `most_dark`, where most of the
    nine around are such; the picture's edge goes on beyond it."""
    height, width = pixels.shape[:2]
    least, most = np.int16(least_light), np.int16(most_dark)
    marks, padded = np.empty(height * width, np.uint8), np.empty((height + 2, width + 2), np.uint8)
    red, green, blue = _split(pixels)
    for i in range(len(marks)):
        light, dark = max(max(red[i], green[i]), blue[i]), min(min(red[i], green[i]), blue[i])
        marks[i] = np.uint8((np.int16(light) >= least) & (np.int16(dark) <= most))
    padded[1 : height + 1, 1 : width + 1] = marks.reshape(height, width)
    padded[:, 0], padded[:, width + 1] = padded[:, 1], padded[:, width]
    padded[0], padded[height + 1] = padded[1], padded[height]
    column, tissue = np.empty(width + 2, np.uint8), np.empty((height, width), np.bool_)
    for y in range(height):
        above, here, below, out = padded[y], padded[y + 1], padded[y + 2], tissue[y]
        for x in range(width + 2):
            column[x] = above[x] + here[x] + below[x]
        for x in range(width):
            out[x] = np.uint8(column[x] + column[x + 1] + column[x + 2]) >= MAJORITY
    return tissue


@compiled
def _split(pixels: Pixels) -> Colours:
    """Red, green and blue. One index, for the compiler makes no vector code of a picture's three."""
    colours = np.empty((3, pixels.size // 3), np.uint8)
    _split_row(pixels.reshape(-1), colours[0], colours[1], colours[2])
    return colours


@compiled
def mark_ink(pixels: Pixels, inks: Inks) -> Mask:
    """Pixels whose hue, saturation and value, as OpenCV has them, are those of an ink.

    Only of the few that may be ink the hue is computed: dark ones, saturated green and blue, saturated pure red.
    """
    colours = _split(pixels)
    is_ink = _may_be_ink(colours)
    for i in range(len(is_ink)):
        if is_ink[i]:
            is_ink[i] = _is_ink(np.int64(colours[0, i]), np.int64(colours[1, i]), np.int64(colours[2, i]), inks)
    return is_ink.reshape(pixels.shape[:2])


@compiled
def _may_be_ink(colours: Colours) -> Flags:
    """All pixels that can be ink, and few others."""
    red, green, blue = colours[0], colours[1], colours[2]
    may_be_ink = np.empty(len(red), np.bool_)
    for i in range(len(may_be_ink)):
        r, g, b = np.int16(red[i]), np.int16(green[i]), np.int16(blue[i])
        light, dark = max(max(r, g), b), min(min(r, g), b)
        span, apart = np.int16(light - dark), np.int16(max(g, b) - min(g, b))
        is_cold = (g >= r) & (np.int16(span + span) > light)
        is_pure = (r == light) & (np.int16(3 * span) >= np.int16(2 * light)) & (np.int16(4 * apart) <= span)
        may_be_ink[i] = (light <= DARK_INK) | is_cold | is_pure
    return may_be_ink


@compiled
def _is_ink(red: np.int64, green: np.int64, blue: np.int64, inks: Inks) -> bool:
    value = max(red, green, blue)
    span = value - min(red, green, blue)
    if value == red:
        turn = green - blue
    elif value == green:
        turn = blue - red + 2 * span
    else:
        turn = red - green + 4 * span
    saturation = _shifted(span * _quotient(255 << HSV_SHIFT, value))
    hue = _shifted(turn * _quotient((HSV_HUES << HSV_SHIFT) // 6, span))
    hue += HSV_HUES if hue < 0 else 0
    for ink in range(len(inks)):
        low, high = inks[ink, 0], inks[ink, 1]
        if low[0] <= hue <= high[0] and low[1] <= saturation <= high[1] and low[2] <= value <= high[2]:
            return True
    return False


@compiled
def _quotient(number: int, by: np.int64) -> np.int64:
    """Rounded; nothing of nothing."""
    return (2 * number + by) // (2 * by) if by else by


@compiled
def _shifted(number: np.int64) -> np.int64:
    return (number + (1 << (HSV_SHIFT - 1))) >> HSV_SHIFT


@compiled
def write_grey(pixels: Pixels, grey: Plane, left: int, top: int) -> None:
    """Writes their grey levels, as OpenCV has them, to `grey` from (left, top) on.

    OpenCV's weights are 9798, 19235 and 3735 of 2**15. Taken apart by their bytes, every product fits 16 bits.
    """
    height, width = pixels.shape[:2]
    flat, size = pixels.reshape(-1), GREY_ROWS * width
    red, green, blue = np.empty(size, np.uint8), np.empty(size, np.uint8), np.empty(size, np.uint8)
    high, low = np.empty(size, np.uint16), np.empty(size, np.uint16)
    for y in range(0, height, GREY_ROWS):
        count = min(GREY_ROWS, height - y)
        _split_row(flat[3 * y * width : 3 * (y + count) * width], red[: count * width], green, blue)
        _weigh(red, green, blue, (np.uint16(38), np.uint16(75), np.uint16(14), np.uint16(64)), high)
        _weigh(red, green, blue, (np.uint16(70), np.uint16(35), np.uint16(151), np.uint16(0)), low)
        for row in range(count):
            part = slice(row * width, (row + 1) * width)
            _join(high[part], low[part], grey[top + y + row][left : left + width])


@compiled
def _split_row(flat: ByteRow, red: ByteRow, green: ByteRow, blue: ByteRow) -> None:
    for i in range(len(red)):
        red[i], green[i], blue[i] = flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]


@compiled
def _weigh(red: ByteRow, green: ByteRow, blue: ByteRow, weights: Weights, out: Sixteens) -> None:
    by_red, by_green, by_blue, more = weights
    for i in range(len(out)):
        warm = np.uint16(np.uint16(np.uint16(red[i]) * by_red) + np.uint16(np.uint16(green[i]) * by_green))
        out[i] = warm + np.uint16(np.uint16(np.uint16(blue[i]) * by_blue) + more)


@compiled
def _join(high: Sixteens, low: Sixteens, grey: ByteRow) -> None:
    for x in range(len(grey)):
        grey[x] = np.uint16(high[x] + (low[x] >> np.uint16(8))) >> np.uint16(7)


@compiled
def shrink(pixels: Pixels, small: Pixels, left: int, top: int) -> Sums:
    """Writes them at a quarter of the scale to `small`, whole pixels from (left, top) on, and gives each colour's sum.

    A pixel is the mean of four means of four, each rounded; where fewer are left, the last go on.
    """
    height, width = pixels.shape[0], 3 * pixels.shape[1]
    rows, out = pixels.reshape(height, width), small.reshape(small.shape[0], -1)
    wide = -(-width // 12) * 12
    upper, lower, means = np.empty(wide, np.uint16), np.empty(wide, np.uint16), np.empty(wide, np.uint16)
    part, total = np.zeros(width, np.uint16), np.zeros(3, np.int64)
    for y in range(0, height, 4):
        last = height - 1
        _add_pair(rows[y], rows[min(y + 1, last)], upper[:width])
        _add_pair(rows[min(y + 2, last)], rows[min(y + 3, last)], lower[:width])
        if y + 4 <= height:
            _accumulate(upper, lower, part)
        else:
            for row in range(y, height):
                part += rows[row]
        for x in range(width, wide):
            upper[x], lower[x] = upper[x - 3], lower[x - 3]
        _average(upper, lower, means)
        _pick(means, out[top + y // 4][3 * left : 3 * left + wide // 4])
        if y % SUMMED_ROWS == SUMMED_ROWS - 4 or y + 4 >= height:
            for x in range(0, width, 3):
                for colour in range(3):
                    total[colour] += part[x + colour]
            part[:] = 0
    return total


@compiled
def _add_pair(one: ByteRow, other: ByteRow, pairs: Sixteens) -> None:
    for x in range(len(pairs)):
        pairs[x] = np.uint16(one[x]) + np.uint16(other[x])


@compiled
def _accumulate(upper: Sixteens, lower: Sixteens, part: Sixteens) -> None:
    for x in range(len(part)):
        part[x] += upper[x] + lower[x]


@compiled
def _average(upper: Sixteens, lower: Sixteens, means: Sixteens) -> None:
    """Of the pixel from each place on; only every fourth pixel's are wanted, but to skip the others takes longer."""
    two = np.uint16(2)
    for x in range(len(means) - 9):
        first = np.uint16(np.uint16(upper[x] + upper[x + 3]) + two) >> two
        second = np.uint16(np.uint16(upper[x + 6] + upper[x + 9]) + two) >> two
        third = np.uint16(np.uint16(lower[x] + lower[x + 3]) + two) >> two
        fourth = np.uint16(np.uint16(lower[x + 6] + lower[x + 9]) + two) >> two
        means[x] = np.uint16(np.uint16(first + second) + np.uint16(third + fourth) + two) >> two


@compiled
def _pick(means: Sixteens, out: ByteRow) -> None:
    for x in range(len(out) // 3):
        out[3 * x], out[3 * x + 1], out[3 * x + 2] = means[12 * x], means[12 * x + 1], means[12 * x + 2]


@compiled
def count_outside(grey: Plane, low: int, high: int) -> tuple[int, int]:
    """How many grey levels are below `low`, and how many above `high`."""
    least, most = np.uint8(low), np.uint8(high)
    darks, brights = np.empty(grey.shape[1], np.uint8), np.empty(grey.shape[1], np.uint8)
    dark_count, bright_count = 0, 0
    for top in range(0, grey.shape[0], COUNTED_ROWS):
        darks[:], brights[:] = 0, 0
        for y in range(top, min(top + COUNTED_ROWS, grey.shape[0])):
            row = grey[y]
            for x in range(len(row)):
                darks[x] += np.uint8(row[x] < least)
                brights[x] += np.uint8(row[x] > most)
        for x in range(len(darks)):
            dark_count, bright_count = dark_count + darks[x], bright_count + brights[x]
    return dark_count, bright_count


@compiled
def count_marks(coded: ByteRow) -> int:
    """How many bytes 255 are not followed by a zero; the last byte is followed by nothing."""
    count = np.int32(0)
    for place in range(len(coded) - 1):
        count = np.int32(count + np.int32((coded[place] == np.uint8(255)) & (coded[place + 1] != np.uint8(0))))
    return int(count)


def warm() -> None:
    """Compiles them before somebody waits for it."""
    plane = np.zeros((1, 1), np.uint8)
    pixels = np.zeros((1, 1, 3), np.uint8)
    mark_tissue(pixels, 0, 0)
    mark_ink(pixels, np.zeros((1, 2, 3), np.int64))
    write_grey(pixels, plane, 0, 0)
    shrink(pixels, pixels.copy(), 0, 0)
    count_outside(plane, 0, 0)
    count_marks(np.frombuffer(b"\xff", np.uint8))
