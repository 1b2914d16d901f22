"""Compiled loops of the way from flows to instances: each works in the box of one cell, or over all pixels once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morula.common.compiled import compiled

Labels = NDArray[np.int32]
Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]
Flow = NDArray[np.float32]

REACH_PX = 5  # a seed grows this far
_BESIDE = 64


@compiled
def step(field: Flow, points: Flow, step_count: int) -> None:
    """Moves points (n, 2) so many steps along a field (height, width, 2), both as x, y from -1 to 1 at its edges.

    Between pixels the field is bilinear, and nothing beyond it: what `grid_sample` of torch does, in its order. Some
    points at a time go beside each other, because each one's next step waits for its last.
    """
    height, width = field.shape[:2]
    half, one = np.float32(0.5), np.float32(1)
    half_width, half_height = np.float32(width) * half, np.float32(height) * half
    for first in range(0, points.shape[0], _BESIDE):
        some = points[first : first + _BESIDE]
        for _ in range(step_count):
            for n in range(some.shape[0]):
                u, v = (some[n, 0] + one) * half_width - half, (some[n, 1] + one) * half_height - half
                if not (u > -one and v > -one and u < width and v < height):
                    continue
                # Both are above -1, so that cutting off rounds down.
                left, top = int(u + one) - 1, int(v + one) - 1
                right_part, lower_part = u - np.float32(left), v - np.float32(top)
                left_part, upper_part = one - right_part, one - lower_part
                right, bottom = left + 1, top + 1
                if left < 0:
                    left, left_part = 0, np.float32(0)
                if top < 0:
                    top, upper_part = 0, np.float32(0)
                if right == width:
                    right, right_part = left, np.float32(0)
                if bottom == height:
                    bottom, lower_part = top, np.float32(0)
                upper_left, upper_right = left_part * upper_part, right_part * upper_part
                lower_left, lower_right = left_part * lower_part, right_part * lower_part
                dx = field[top, left, 0] * upper_left + field[top, right, 0] * upper_right
                dx = dx + field[bottom, left, 0] * lower_left + field[bottom, right, 0] * lower_right
                dy = field[top, left, 1] * upper_left + field[top, right, 1] * upper_right
                dy = dy + field[bottom, left, 1] * lower_left + field[bottom, right, 1] * lower_right
                some[n, 0] = min(max(some[n, 0] + dx, -one), one)
                some[n, 1] = min(max(some[n, 1] + dy, -one), one)


@compiled
def pool(
    labels: Labels,
    squares: Flow,
    step_px: int,
    y: Integers,
    x: Integers,
    taper_y: Numbers,
    taper_x: Numbers,
    sums: Numbers,
    weights: Numbers,
) -> None:
    """Adds to each label's sum the features (rows, columns, width) where its pixels lie in a crop, at `y` and `x`."""
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label > 0:
                weight = taper_y[y[row]] * taper_x[x[column]]
                seen = squares[y[row] // step_px, x[column] // step_px]
                weights[label] += weight
                for n in range(squares.shape[2]):
                    sums[label, n] += weight * seen[n]


@compiled
def find_seeds(counts: Integers) -> Integers:
    """Local maxima of a 5 x 5 window with more than 10 end points, in reading order."""
    peaks = []
    for y in range(2, counts.shape[0] - 2):
        for x in range(2, counts.shape[1] - 2):
            n = counts[y, x]
            if n <= 10:
                continue
            highest = True
            for v in range(y - 2, y + 3):
                for u in range(x - 2, x + 3):
                    if counts[v, u] > n:
                        highest = False
            if highest:
                peaks.append((y, x))
    seeds = np.empty((len(peaks), 2), np.int64)
    for i in range(len(peaks)):
        seeds[i, 0], seeds[i, 1] = peaks[i]
    return seeds


@compiled
def grow(counts: Integers, seeds: Integers) -> Labels:
    """Map of seeds (numbered from 1) grown over bins with more than 2 end points; later seeds win."""
    side = 2 * REACH_PX + 1
    owner = np.zeros(counts.shape, np.int32)
    for i in range(seeds.shape[0]):
        top, left = seeds[i, 0] - REACH_PX, seeds[i, 1] - REACH_PX
        grown = np.zeros((side, side), np.bool_)
        grown[REACH_PX, REACH_PX] = True
        for _ in range(REACH_PX):
            before = grown.copy()
            for y in range(side):
                for x in range(side):
                    if counts[top + y, left + x] <= 2:
                        grown[y, x] = False
                        continue
                    near = False
                    for v in range(max(0, y - 1), min(side, y + 2)):
                        for u in range(max(0, x - 1), min(side, x + 2)):
                            near |= before[v, u]
                    grown[y, x] = near
        for y in range(side):
            for x in range(side):
                if grown[y, x]:
                    owner[top + y, left + x] = i + 1
    return owner


@compiled
def count_sizes(labels: Labels) -> Integers:
    """Pixels of each label from 0 to the highest."""
    sizes = np.zeros(labels.max() + 1, np.int64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            sizes[labels[y, x]] += 1
    return sizes


@compiled
def find_boxes(labels: Labels, count: int) -> Integers:
    boxes = np.empty((count, 4), np.int64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = labels.shape[0], labels.shape[1], 0, 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            i = labels[y, x] - 1
            if i >= 0:
                boxes[i, 0], boxes[i, 1] = min(boxes[i, 0], y), min(boxes[i, 1], x)
                boxes[i, 2], boxes[i, 3] = max(boxes[i, 2], y + 1), max(boxes[i, 3], x + 1)
    return boxes


@compiled
def _centre(labels: Labels, box: Integers, label: int) -> tuple[int, int]:
    """The label's pixel nearest to its rounded mean."""
    total_y, total_x, n = 0, 0, 0
    for y in range(box[0], box[2]):
        for x in range(box[1], box[3]):
            if labels[y, x] == label:
                total_y += y - box[0]
                total_x += x - box[1]
                n += 1
    mean_y, mean_x = round(total_y / n) + box[0], round(total_x / n) + box[1]
    best, best_y, best_x = 1 << 60, box[0], box[1]
    for y in range(box[0], box[2]):
        for x in range(box[1], box[3]):
            distance = (y - mean_y) ** 2 + (x - mean_x) ** 2
            if labels[y, x] == label and distance < best:
                best, best_y, best_x = distance, y, x
    return best_y, best_x


@compiled
def diffuse(labels: Labels, heat: Numbers, box: Integers, label: int, step_count: int) -> None:
    """Heat that enters at the centre and spreads within the label; written to `heat`, which has a margin of one."""
    height, width = box[2] - box[0] + 2, box[3] - box[1] + 2
    inside = np.zeros((height, width))
    now, then = np.zeros((height, width)), np.zeros((height, width))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            inside[y, x] = 1.0 if labels[box[0] + y - 1, box[1] + x - 1] == label else 0.0
    centre_y, centre_x = _centre(labels, box, label)
    centre_y, centre_x = centre_y - box[0] + 1, centre_x - box[1] + 1
    for _ in range(step_count):
        now[centre_y, centre_x] += 1.0
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                then[y, x] = (
                    inside[y, x]
                    * (
                        now[y, x]
                        + now[y - 1, x]
                        + now[y + 1, x]
                        + now[y, x - 1]
                        + now[y, x + 1]
                        + now[y - 1, x - 1]
                        + now[y - 1, x + 1]
                        + now[y + 1, x - 1]
                        + now[y + 1, x + 1]
                    )
                    / 9.0
                )
        now, then = then, now
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if inside[y, x] > 0.0:
                heat[box[0] + y, box[1] + x] = now[y, x]


@compiled
def compare(labels: Labels, heat: Numbers, flow: Flow, count: int) -> Numbers:
    sums, sizes = np.zeros(count), np.zeros(count)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            i = labels[y, x] - 1
            if i < 0:
                continue
            # Touching cells see each other's heat here, as in the published check.
            dy = heat[y + 2, x + 1] - heat[y, x + 1]
            dx = heat[y + 1, x + 2] - heat[y + 1, x]
            length = 1e-60 + np.sqrt(dy * dy + dx * dx)
            sums[i] += (dy / length - flow[0, y, x] / 5.0) ** 2 + (dx / length - flow[1, y, x] / 5.0) ** 2
            sizes[i] += 1
    return sums / sizes


@compiled
def fill_holes(labels: Labels, boxes: Integers) -> None:
    """What cannot be reached from a box's border without crossing the label becomes the label."""
    for index in range(boxes.shape[0]):
        top, left, bottom, right = boxes[index]
        height, width = bottom - top, right - left
        outside = np.zeros((height, width), np.bool_)
        stack = np.empty((height * width, 2), np.int64)
        depth = 0
        for y in range(height):
            for x in range(width):
                if (y in (0, height - 1) or x in (0, width - 1)) and labels[top + y, left + x] != index + 1:
                    outside[y, x] = True
                    stack[depth, 0], stack[depth, 1] = y, x
                    depth += 1
        while depth:
            depth -= 1
            y, x = stack[depth]
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < height and 0 <= u < width and not outside[v, u] and labels[top + v, left + u] != index + 1:
                    outside[v, u] = True
                    stack[depth, 0], stack[depth, 1] = v, u
                    depth += 1
        for y in range(height):
            for x in range(width):
                if not outside[y, x]:
                    labels[top + y, left + x] = index + 1
