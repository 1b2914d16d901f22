"""From flows to instances: pixels walk along the flow to their cell's centre; those that end together are one cell.

The semantics are those of Cellpose's published post-processing, step for step: the same walk, seeds, growth, check
against the flow that the found shape would have, holes and sizes. What differs is the cost: each step touches every
pixel a fixed number of times, in compiled loops over the pixels of a cell's own box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.segmenter import kernels

Flow = NDArray[np.float32]
Labels = NDArray[np.int32]

MARGIN_PX = 20  # the histogram of end points reaches this far beyond the image
# After 40 steps half of the pixels of usual cells have merged, after 100 six of seven.
_LEG_STEPS = 30


@dataclass(frozen=True)
class DynamicsParams:
    """Names and defaults are Cellpose's."""

    cellprob_threshold: float = 0.0
    flow_threshold: float = 0.4
    niter: int = 200
    min_size: int = 15
    max_size_fraction: float = 0.4


def find_instances(flow: Flow, cell_probability: Flow, params: DynamicsParams) -> Labels:
    """flow (2, H, W) as dy, dx times 5; cell probability (H, W), a logit -> instances 1..n, 0 elsewhere."""
    foreground = cell_probability > params.cellprob_threshold
    if not foreground.any():
        return np.zeros(foreground.shape, np.int32)
    rows, columns = np.nonzero(foreground)
    ends = walk(flow * foreground / np.float32(5), rows, columns, params.niter, _LEG_STEPS)
    labels = gather(ends, rows, columns, foreground.shape)
    labels = drop_large(labels, params.max_size_fraction)
    if params.flow_threshold > 0:
        labels = keep(labels, np.r_[False, flow_errors(labels, flow) <= params.flow_threshold])
    return fill_and_drop_small(labels, params.min_size)


def walk(flow: Flow, rows: NDArray[np.int64], columns: NDArray[np.int64], step_count: int, leg_steps: int) -> Labels:
    """End points (2, n) of pixels that step along the flow; they merge after each leg.

    Positions are scaled by the side less one and sampled with pixel edges at -1 and 1, as the published networks'
    post-processing does: the half pixel between the two is part of the masks that people compare with.
    """
    sides = np.array([max(side - 1, 1) for side in (flow.shape[2], flow.shape[1])], np.float32)
    field = np.stack([flow[1], flow[0]], axis=-1, dtype=np.float32)
    field *= np.float32(2) / sides
    points = np.stack([columns, rows], axis=1, dtype=np.float32)
    points /= sides
    points *= 2
    points -= 1
    walker = np.arange(rows.size)
    for start in range(0, step_count, leg_steps):
        if start:
            points, walker = _merged(points, walker)
        kernels.step(field, points, min(leg_steps, step_count - start))
    # Pixels without a flow end beyond the corner, as NaN does when a processor converts it to an integer.
    np.nan_to_num(points, copy=False, nan=-1.0 - 2.0 * MARGIN_PX)
    points += 1
    points *= np.float32(0.5)
    points *= sides
    return np.ascontiguousarray(points.astype(np.int32)[walker].T[::-1])


def _merged(points: Flow, walker: NDArray[np.int64]) -> tuple[Flow, NDArray[np.int64]]:
    """Points that have come to the same place to the last bit go on as one, for their ends are the same.

    They do so in large numbers: the flow draws the pixels of a cell together until nothing is left between them.
    """
    places, walker_of = np.unique(points.view(np.int64).ravel(), return_inverse=True)
    return places.view(np.float32).reshape(-1, 2), walker_of.ravel()[walker]


def gather(
    ends: NDArray[np.int32], rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, ...]
) -> Labels:
    """Labels of pixels by the seed that their end point belongs to."""
    height, width = shape
    y = np.clip(ends[0] + MARGIN_PX, 0, height + MARGIN_PX - 1)
    x = np.clip(ends[1] + MARGIN_PX, 0, width + MARGIN_PX - 1)
    padded = (height + 2 * MARGIN_PX, width + 2 * MARGIN_PX)
    counts = np.bincount(y.astype(np.int64) * padded[1] + x, minlength=padded[0] * padded[1]).reshape(padded)
    seeds = kernels.find_seeds(counts)
    labels = np.zeros(shape, np.int32)
    if seeds.size == 0:
        return labels
    order = np.argsort(counts[seeds[:, 0], seeds[:, 1]], kind="stable")
    labels[rows, columns] = kernels.grow(counts, seeds[order])[y, x]
    return labels


def drop_large(labels: Labels, max_size_fraction: float) -> Labels:
    sizes = kernels.count_sizes(labels)
    return keep(labels, (sizes > 0) & (sizes <= labels.size * max_size_fraction))


def keep(labels: Labels, is_kept: NDArray[np.bool_]) -> Labels:
    """The kept of labels 1..n, numbered anew from 1; all others become background."""
    is_kept[0] = False
    numbers = np.cumsum(is_kept, dtype=np.int32) * is_kept
    return numbers[labels]


def flow_errors(labels: Labels, flow: Flow) -> NDArray[np.float64]:
    """Mean squared difference, by label from 1, of the flow and of the one that each label's shape would have."""
    count = int(labels.max())
    if count == 0:
        return np.zeros(0)
    boxes = kernels.find_boxes(labels, count)
    extents = (boxes[:, 2] - boxes[:, 0]) + (boxes[:, 3] - boxes[:, 1]) + 2
    heat = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2))
    for index in range(count):
        kernels.diffuse(labels, heat, boxes[index], index + 1, 2 * int(extents.max()))
    return kernels.compare(labels, heat, flow, count)


def fill_and_drop_small(labels: Labels, min_size: int) -> Labels:
    """Small instances go, holes are filled (a later instance takes what lies in its hole), small ones go again."""
    labels = drop_small(labels, min_size)
    count = int(labels.max())
    if count:
        kernels.fill_holes(labels, kernels.find_boxes(labels, count))
    return drop_small(labels, min_size)


def drop_small(labels: Labels, min_size: int) -> Labels:
    return keep(labels, kernels.count_sizes(labels) >= max(min_size, 1))


def warm() -> None:
    """Compiles all loops before somebody waits for it: finds one round cell."""
    y, x = np.mgrid[-16:16, -16:16].astype(np.float32)
    distance = np.hypot(y, x) + np.float32(1)
    find_instances(np.stack([-y, -x]) / distance * np.float32(5), np.float32(10) - distance, DynamicsParams())
