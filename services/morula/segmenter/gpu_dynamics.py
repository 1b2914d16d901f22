"""`dynamics` for tensors of an accelerator: the same steps, each over all pixels of all cells at once.

Pixels of cells are packed: `place` is where in the image each lies, `cell` which cell it belongs to. What is counted
is counted in whole numbers, and heat is float64, added up in a fixed order. Only the sums of errors are not, so a cell
may differ from run to run where its error lies on the bound to the last bits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from morula.segmenter.dynamics import MARGIN_PX, DynamicsParams
from morula.segmenter.kernels import REACH_PX

# A pixel and its neighbours, itself first.
_AROUND = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def find_instances(flow: Tensor, cell_probability: Tensor, params: DynamicsParams) -> Tensor:
    """Instances 1..n, 0 elsewhere; holes are not filled yet, nor small ones dropped."""
    foreground = cell_probability > params.cellprob_threshold
    labels = torch.zeros(foreground.numel(), dtype=torch.int32, device=flow.device)
    place = foreground.flatten().nonzero()[:, 0]
    if place.numel():
        rows, columns = place // flow.shape[2], place % flow.shape[2]
        ends = walk(flow * foreground / 5, rows, columns, params.niter)
        cell, count = gather(ends, foreground.shape)
        largest = int(foreground.numel() * params.max_size_fraction)
        place, cell, count = keep(place, cell, torch.bincount(cell, minlength=count + 1) <= largest)
        if params.flow_threshold > 0 and count:
            errors = flow_errors(place, cell - 1, count, flow)
            place, cell, count = keep(place, cell, functional.pad(errors <= params.flow_threshold, (1, 0)))
        labels[place] = cell.int()
    return labels.view(foreground.shape)


def walk(flow: Tensor, rows: Tensor, columns: Tensor, step_count: int) -> Tensor:
    """End points (2, n) of pixels that step along the flow, all at once."""
    sides = [max(side - 1, 1) for side in (flow.shape[2], flow.shape[1])]
    field = flow.flip(0)[None].float()
    points = torch.stack([columns, rows], dim=1).float()[None, None]
    for axis, side in enumerate(sides):
        field[:, axis] *= 2.0 / side
        points[..., axis] /= side
    points.mul_(2).sub_(1)
    for _ in range(step_count):
        points += functional.grid_sample(field, points, align_corners=False)[0].permute(1, 2, 0)
        points.clamp_(-1.0, 1.0)
    # Pixels without a flow end beyond the corner, as NaN does when a processor converts it to an integer.
    points.nan_to_num_(nan=-1.0 - 2.0 * MARGIN_PX)
    points.add_(1).mul_(0.5)
    for axis, side in enumerate(sides):
        points[..., axis] *= side
    return points[0, 0].T.flip(0).int()


def keep(place: Tensor, cell: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, int]:
    """Pixels of the kept cells, which are numbered anew from 1, and how many cells there are."""
    kept = kept & (torch.bincount(cell, minlength=kept.numel()) > 0)
    kept[0] = False
    numbers = kept.cumsum(0) * kept
    cell = numbers[cell]
    return place[cell > 0], cell[cell > 0], int(numbers.max())


def gather(ends: Tensor, shape: torch.Size) -> tuple[Tensor, int]:
    """Seed of each pixel by its end point, numbered from 1, 0 where there is none; and how many seeds there are."""
    height, width = (side + 2 * MARGIN_PX for side in shape)
    y, x = ((end + MARGIN_PX).clamp(0, side + MARGIN_PX - 1).long() for end, side in zip(ends, shape, strict=True))
    into = y * width + x
    counts = torch.zeros(height * width, dtype=torch.int32, device=ends.device)
    counts.scatter_add_(0, into, torch.ones_like(into, dtype=torch.int32))
    seeds = find_seeds(counts.view(height, width))
    return grow(counts, seeds, width)[into], seeds.numel()


def find_seeds(counts: Tensor) -> Tensor:
    """Flat places of local maxima of a 5 x 5 window with more than 10 end points, the fullest last."""
    highest = functional.max_pool2d(counts[None].float(), 5, 1, 2)[0]
    peaks = (counts == highest) & (counts > 10)
    within = functional.pad(peaks[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX], (REACH_PX,) * 4)
    seeds = within.flatten().nonzero()[:, 0]
    return seeds[counts.flatten()[seeds].argsort(stable=True)]


def grow(counts: Tensor, seeds: Tensor, width: int) -> Tensor:
    """Flat map of seeds (numbered from 1) grown over bins with more than 2 end points; later seeds win."""
    reach = torch.arange(-REACH_PX, REACH_PX + 1, device=counts.device)
    around = seeds[:, None, None] + reach[:, None] * width + reach
    is_filled = counts[around] > 2
    grown = torch.zeros(around.shape, device=counts.device)
    grown[:, REACH_PX, REACH_PX] = 1
    for _ in range(REACH_PX):
        grown = functional.max_pool2d(grown[:, None], 3, 1, 1)[:, 0] * is_filled
    numbers = torch.arange(1, seeds.numel() + 1, device=counts.device)[:, None, None] * (grown > 0)
    owner = torch.zeros(counts.numel(), dtype=torch.int64, device=counts.device)
    return owner.scatter_reduce_(0, around.flatten(), numbers.flatten(), "amax")


def flow_errors(place: Tensor, cell: Tensor, count: int, flow: Tensor) -> Tensor:
    """Mean squared difference, by cell from 0, of the flow and of the one that each cell's shape would have."""
    rows, columns = place // flow.shape[2], place % flow.shape[2]
    sizes = torch.bincount(cell, minlength=count)
    centres, longest = _centres(rows, columns, cell, sizes)
    width = flow.shape[2] + 2
    framed = (rows + 1) * width + columns + 1
    area = (flow.shape[1] + 2) * width
    heat = diffuse(_neighbours(framed, cell, width, area), centres, 2 * longest)
    # Touching cells see each other's heat here, as in the published check.
    canvas = torch.zeros(area, dtype=heat.dtype, device=heat.device)
    canvas[framed] = heat
    slope = torch.stack([canvas[framed + step] - canvas[framed - step] for step in (width, 1)])
    slope /= 1e-60 + slope.square().sum(0).sqrt()
    errors = (slope - flow[:, rows, columns].double() / 5).square().sum(0)
    return torch.zeros_like(errors[:count]).scatter_add_(0, cell, errors) / sizes


def _centres(rows: Tensor, columns: Tensor, cell: Tensor, sizes: Tensor) -> tuple[Tensor, int]:
    """Number of the pixel nearest to each cell's rounded mean, the first of several; and the largest box's sides."""
    away = torch.zeros_like(rows)
    extent = torch.full_like(sizes, 2)
    for along in (rows, columns):
        first, last = (_of_cells(along, cell, sizes, reduce) for reduce in ("amin", "amax"))
        extent += last - first + 1
        # Relative to the box, because rounding halves to even depends on the offset.
        mean = torch.zeros_like(sizes).scatter_add_(0, cell, along - first[cell]) / sizes.double()
        away += (along - first[cell] - mean.round().long()[cell]).square()
    order = away * cell.numel() + torch.arange(cell.numel(), device=cell.device)
    return _of_cells(order, cell, sizes, "amin") % cell.numel(), int(extent.max())


def _of_cells(values: Tensor, cell: Tensor, sizes: Tensor, reduce: str) -> Tensor:
    return torch.zeros_like(sizes).scatter_reduce_(0, cell, values, reduce, include_self=False)


def _neighbours(framed: Tensor, cell: Tensor, width: int, area: int) -> Tensor:
    """(9, n) numbers of the pixels around each pixel of its own cell; n, which is none, for all others."""
    count = framed.numel()
    owner = torch.full((area,), -1, device=framed.device)
    owner[framed] = cell
    number = torch.zeros(area, dtype=torch.int32, device=framed.device)
    number[framed] = torch.arange(count, dtype=torch.int32, device=framed.device)
    table = torch.empty((len(_AROUND), count), dtype=torch.int32, device=framed.device)
    for row, (down, right) in zip(table, _AROUND, strict=True):
        there = framed + down * width + right
        row[:] = torch.where(owner[there] == cell, number[there], count)
    return table


def diffuse(neighbours: Tensor, centres: Tensor, step_count: int) -> Tensor:
    """Heat of pixels: it enters at the centres, and each step all take the mean of what is around them."""
    heat = torch.zeros(neighbours.shape[1] + 1, dtype=torch.float64, device=centres.device)
    inside, flat = heat[:-1], neighbours.flatten()
    entering = torch.ones(centres.numel(), dtype=heat.dtype, device=heat.device)
    around = torch.empty(flat.numel(), dtype=heat.dtype, device=heat.device)

    for _ in range(step_count):
        heat.index_add_(0, centres, entering)
        torch.index_select(heat, 0, flat, out=around)
        torch.sum(around.view(neighbours.shape), 0, out=inside)
        inside.div_(len(_AROUND))
    return inside
