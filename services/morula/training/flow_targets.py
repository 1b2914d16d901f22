"""What a network of flows is to say of labelled objects: where each pixel is drawn, and that it is in an object.

Flows are those of Cellpose: the direction of rising heat, which enters at an object's centre and spreads within it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from morula.common.compiled import compiled
from morula.segmenter import kernels

Labels = NDArray[np.int32]
Flow = NDArray[np.float32]

LEAST_AREA_PX = 8


def whole_objects(labels: Labels) -> Labels:
    """Objects of one piece each, numbered from 1; crumbs are dropped."""
    pieces = label(labels, connectivity=1, background=0).astype(np.int32)  # type: ignore[no-untyped-call]
    sizes = np.bincount(pieces.ravel())
    is_kept = sizes >= LEAST_AREA_PX
    is_kept[0] = False
    numbers = np.cumsum(is_kept, dtype=np.int32) * is_kept
    return np.asarray(numbers[pieces], np.int32)


def flows_of(labels: Labels) -> Flow:
    """(2, height, width): dy and dx, of length 1 in objects, 0 elsewhere. Each label is one piece."""
    count = int(labels.max(initial=0))
    heat = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2))
    boxes = kernels.find_boxes(labels, count)
    for index in range(count):
        box = boxes[index]
        steps = 2 * int(box[2] - box[0] + box[3] - box[1] + 2)
        kernels.diffuse(labels, heat, box, index + 1, steps)
    return _slopes(labels, heat)


@compiled
def _slopes(labels: Labels, heat: NDArray[np.float64]) -> Flow:
    """Direction of rising heat; that of other objects is not felt."""
    height, width = labels.shape
    flow = np.zeros((2, height, width), np.float32)
    for y in range(height):
        for x in range(width):
            own = labels[y, x]
            if own == 0:
                continue
            up = heat[y, x + 1] if y > 0 and labels[y - 1, x] == own else 0.0
            down = heat[y + 2, x + 1] if y < height - 1 and labels[y + 1, x] == own else 0.0
            left = heat[y + 1, x] if x > 0 and labels[y, x - 1] == own else 0.0
            right = heat[y + 1, x + 2] if x < width - 1 and labels[y, x + 1] == own else 0.0
            dy, dx = down - up, right - left
            length = np.sqrt(dy * dy + dx * dx) + 1e-60
            flow[0, y, x], flow[1, y, x] = dy / length, dx / length
    return flow
