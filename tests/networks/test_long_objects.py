"""Objects longer than a tile, through flows, regions, halos and settling: whole, and once."""

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from morula.bench.slides import Lattice, settled_cells
from morula.common.compute import Checkpoint
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from cellpose import dynamics as stock  # noqa: E402

from morula.segmenter.flows import FlowModel, Flows  # noqa: E402

torch.set_num_threads(1)
LATTICE = Lattice(96, 2, (37, 51))
MPP = 0.5
Ends = tuple[tuple[int, int], tuple[int, int]]

# Tiles are 96 px wide. Regions of two of them begin at 155 and 347 px, and at 141 and 333 px downwards.
LONG: list[Ends] = [
    ((70, 40), (230, 40)),
    ((100, 75), (300, 75)),
    ((60, 70), (60, 230)),
    ((110, 100), (200, 190)),
    ((250, 250), (430, 250)),
    ((450, 400), (450, 270)),
    # With a head, in a region whose second cut does not reach the tail's end.
    ((40, 300), (205, 300)),
]
HEAD = ((205, 300), 30)
ENDLESS: Ends = ((20, 420), (480, 420))


class KnownMasks:
    """A backend that knows the masks: a pixel's colour is the number of its object. Its flows are the true ones."""

    def infer(self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> Flows:
        numbers = 255 - pixels[..., 0].astype(np.int32)
        labels = np.unique(numbers, return_inverse=True)[1].reshape(numbers.shape).astype(np.int32)
        flow = np.zeros((2, *labels.shape), np.float32)
        if labels.any():
            flow = 5 * stock.masks_to_flows_gpu(labels)[0].astype(np.float32)
        return Flows(flow, np.where(labels > 0, 6, -6).astype(np.float32), np.empty(0, np.float32))

    def first_diameter_um(self, pixels: object, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> float:
        return 0.0


def drawn(lines: list[Ends]) -> NDArray[np.uint8]:
    """White, with object n in the colour 255 - n: long ones, and round ones between them."""
    picture = np.full((480, 500, 3), 255, np.uint8)
    for number, (start, end) in enumerate(lines, 1):
        cv2.line(picture, start, end, [255 - number] * 3, 9)
    cv2.circle(picture, *HEAD, [255 - len(LONG)] * 3, -1)
    free = cv2.erode((picture[..., 0] == 255).astype(np.uint8), np.ones((25, 25), np.uint8))
    number = len(lines)
    for y in range(12, 470, 40):
        for x in range(12, 490, 40):
            if free[y, x]:
                number += 1
                cv2.circle(picture, (x, y), 6, [255 - number] * 3, -1)
    assert number < 255
    return picture


def found_in(picture: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.object_], NDArray[np.float64]]:
    """Number of the object in which each cell lies, the cell's state, and how large it is beside the object."""
    wanted = Wanted(flows=FlowParams(niter=1500))
    cells = settled_cells(picture, MPP, LATTICE, FlowModel(KnownMasks()), wanted)
    inside = np.array([polygon.representative_point().coords[0] for polygon in cells.polygon])
    numbers = 255 - picture[..., 0].astype(np.int64)
    mine = numbers[inside[:, 1].astype(int), inside[:, 0].astype(int)]
    return mine, cells.state, shapely.area(cells.polygon) / np.bincount(numbers.ravel())[mine]


def test_objects_longer_than_a_tile_are_whole_and_once() -> None:
    picture = drawn(LONG)
    mine, state, size = found_in(picture)
    assert sorted(mine.tolist()) == list(range(1, 255 - int(picture.min()) + 1))
    assert "truncated" not in state
    assert (np.abs(size - 1) < 0.02).all()


def test_an_object_that_no_halo_shows_whole_is_there_and_says_so() -> None:
    mine, state, size = found_in(drawn([*LONG, ENDLESS]))
    endless = mine == len(LONG) + 1
    assert state[endless].tolist() == ["truncated"]
    assert size[endless][0] > 0.5
    assert "truncated" not in state[~endless]
