"""Cells for viewers: those in a box as JSON, those of a block as packed numbers."""

import uuid

import numpy as np

from morula.common.errors import InvalidArgument, NotFound
from morula.gateway.clustering_schemas import Cell, Cells
from morula.gateway.views import ClusteringView, SlideRows


def cells_in_box(view: ClusteringView, slide: SlideRows, bbox: str, limit: int) -> Cells:
    """Cells whose centroid lies in the box, in row order, no more than `limit`; all places are level-0 px."""
    x_start, y_start, x_stop, y_stop = parse_box(bbox)
    inside = (slide.x_px >= x_start) & (slide.x_px < x_stop) & (slide.y_px >= y_start) & (slide.y_px < y_stop)
    inside_rows = np.flatnonzero(inside)
    shown = inside_rows[:limit]
    described = zip(shown.tolist(), slide.cell_ids(shown), slide.rings(shown), strict=True)
    cells = [
        Cell(
            row=slide.row_start + row,
            cell_id=str(uuid.UUID(bytes=cell_id)),
            x_px=float(slide.x_px[row]),
            y_px=float(slide.y_px[row]),
            leaf=int(view.leaf[slide.row_start + row]),
            outline=ring,
        )
        for row, cell_id, ring in described
    ]
    return Cells(cells=cells, truncated=len(shown) < len(inside_rows), total_count=len(inside_rows))


def parse_box(bbox: str) -> tuple[float, float, float, float]:
    """A box `x0,y0,x1,y1` in level-0 px, half-open."""
    try:
        x_start, y_start, x_stop, y_stop = (float(part) for part in bbox.split(","))
    except ValueError as error:
        raise InvalidArgument("bbox must be four numbers: x0,y0,x1,y1.") from error
    if not np.isfinite([x_start, y_start, x_stop, y_stop]).all() or x_start >= x_stop or y_start >= y_stop:
        raise InvalidArgument("The box is empty: x0 must be less than x1, and y0 less than y1.")
    return x_start, y_start, x_stop, y_stop


def block_bytes(slide: SlideRows, number: int) -> bytes:
    """Cells of a block: row_start, row_count, vertex_count and 0 (uint32), centroids (float32), where each outline
    begins (uint32, one more than rows), vertices (int16).

    Centroids are level-0 px; vertices are quarters of them, from the centroid rounded to whole ones.
    All numbers are little-endian.
    """
    if not 0 <= number < len(slide.blocks):
        raise NotFound("The slide has no block of this number.", number=str(number))
    _, _, start, stop = slide.blocks[number]
    lists = slide.outlines.slice(start, stop - start)["outline"].combine_chunks()
    offsets = np.asarray(lists.offsets, np.int64)
    steps = np.asarray(lists.values, np.int16)[offsets[0] : offsets[-1]]
    offsets = (offsets - offsets[0]) // 2
    centroids = np.stack([slide.x_px[start:stop], slide.y_px[start:stop]], axis=1)
    head = np.array([slide.row_start + start, stop - start, offsets[-1], 0], "<u4")
    parts = (head, centroids.astype("<f4"), offsets.astype("<u4"), steps.astype("<i2"))
    return b"".join(part.tobytes() for part in parts)
