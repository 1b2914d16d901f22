"""The segmenter that does not look: its cells came with the slide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument
from morula.common.imported import Imported, Painted
from morula.common.pixels import Region
from morula.segmenter.instances import Instances, Wanted


def segment(pixels: NDArray[np.uint8], _mpp: float, wanted: Wanted, _checkpoint: Checkpoint = go_on, /) -> Instances:
    """The cells that came with the slide, wherever the image was cut from it."""
    painted = wanted.imported
    if painted is None:
        raise InvalidArgument(
            "no cells came with this slide: the segmenter imported is for slides that `morula import` brought"
        )
    if painted.labels.shape != pixels.shape[:2]:
        raise InvalidArgument("the imported cells and the image differ in size")
    return Instances(painted.labels, np.ones(len(painted.rows), np.float32), imported=painted)


def painted_around(cells: Imported, region: Region) -> Painted:
    """The cells in a region, which has to be at the scale at which they were found."""
    if region.downsample != 1 or region.x_px != int(region.x_px) or region.y_px != int(region.y_px):
        raise InvalidArgument("cells that came with a slide are of its level 0: work at the slide's own scale")
    height, width = region.pixels.shape[:2]
    return cells.painted(int(region.x_px), int(region.y_px), width, height)
