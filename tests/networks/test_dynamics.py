"""Flows to masks: those of the stock post-processing, and whole objects of any size."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from morula.segmenter import dynamics
from morula.segmenter.dynamics import DynamicsParams, find_instances
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from cellpose import dynamics as stock  # noqa: E402

torch.set_num_threads(1)
# The stock seeds are sparse tensors, which warn unless one says that they are not to be checked.
torch.sparse.check_sparse_tensor_invariants.disable()
DEFAULTS = DynamicsParams()
Labels = NDArray[np.int32]


def discs(side: int, count: int, seed: int = 0) -> Labels:
    random = np.random.default_rng(seed)
    labels = np.zeros((side, side), np.int32)
    for number in range(1, count + 1):
        x, y = random.integers(0, side, 2)
        cv2.circle(labels, (int(x), int(y)), int(random.integers(5, 12)), number, -1)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)


def flows_of(labels: Labels, noise: float, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flows and probabilities as an imperfect network gives them."""
    random = np.random.default_rng(seed)
    true, _ = stock.masks_to_flows_gpu(labels)
    errors = np.stack([gaussian_filter(random.normal(0, noise, labels.shape), 1.5) * 4 for _ in range(2)])
    flow = ((true + errors) * 5 * (labels > 0)).astype(np.float32)
    logits = np.where(labels > 0, 6.0, -6.0) + random.normal(0, 2 * (noise > 0), labels.shape)
    return flow, logits.astype(np.float32)


def compared(labels: Labels, seed: int, params: DynamicsParams = DEFAULTS) -> tuple[int, int]:
    """Cells that stock finds, and how many of them are ours to the pixel."""
    flow, logits = flows_of(labels, 0.3, seed)
    theirs = stock.resize_and_compute_masks(
        flow,
        logits,
        niter=params.niter,
        flow_threshold=params.flow_threshold,
        cellprob_threshold=params.cellprob_threshold,
        min_size=params.min_size,
    )
    ours = find_instances(flow, logits, params)
    pairs, counts = np.unique(np.stack([theirs.ravel(), ours.ravel()]), axis=1, return_counts=True)
    areas, own_areas = np.bincount(theirs.ravel()), np.bincount(ours.ravel())
    same = sum(a > 0 and b > 0 and areas[a] == n == own_areas[b] for (a, b), n in zip(pairs.T, counts, strict=True))
    return int(theirs.max()), same


@pytest.mark.parametrize(
    "params",
    [
        DEFAULTS,
        DynamicsParams(flow_threshold=0.0),
        DynamicsParams(flow_threshold=0.3, cellprob_threshold=3.0, min_size=60, niter=60),
    ],
)
def test_masks_of_discs_are_the_stock_ones(params: DynamicsParams) -> None:
    found, same = compared(discs(192, 45), 1, params)
    assert found > 5
    assert same == found


@pytest.mark.slow
def test_masks_of_real_nuclei_are_the_stock_ones(data_dir: Path) -> None:
    """Knife-edge flow errors count as differences; one cell in a thousand may differ."""
    found = same = 0
    with zipfile.ZipFile(data_dir / "dsb2018" / "train_dev.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("labels/"))[::61]
        for seed, name in enumerate(names):
            image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            labels = np.unique(image, return_inverse=True)[1].reshape(image.shape).astype(np.int32)
            if labels.max() and max(labels.shape) < 800:
                theirs, ours = compared(labels, seed)
                found, same = found + theirs, same + ours
    assert found > 150
    assert same >= 0.999 * found


def test_an_object_longer_than_any_crop_is_whole_and_once() -> None:
    labels = np.zeros((90, 900), np.int32)
    labels[40:52, 20:880] = 1
    flow, logits = flows_of(labels, 0.0)
    found = find_instances(flow, logits, DynamicsParams(niter=2000))
    assert found.max() == 1
    assert np.array_equal(found > 0, labels > 0)


def test_five_thousand_cells_in_a_tile() -> None:
    labels = np.zeros((512, 512), np.int32)
    places = [(y, x) for y in range(4, 508, 7) for x in range(4, 508, 7)][:5000]
    for number, (y, x) in enumerate(places, 1):
        labels[y - 2 : y + 3, x - 2 : x + 3] = number
    flow, logits = flows_of(labels, 0.0)
    found = find_instances(flow, logits, DynamicsParams())
    assert found.max() == 5000


def test_a_cell_that_fills_the_tile_is_too_large_unless_asked_for() -> None:
    labels = np.ones((96, 96), np.int32)
    flow, logits = flows_of(labels, 0.0)
    assert find_instances(flow, logits, DynamicsParams()).max() == 0
    assert find_instances(flow, logits, DynamicsParams(max_size_fraction=1.0)).max() == 1


def test_a_cell_of_one_pixel_is_no_cell() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[20, 20] = 1
    logits = np.where(labels > 0, 6, -6).astype(np.float32)
    assert find_instances(np.zeros((2, 40, 40), np.float32), logits, DynamicsParams(min_size=0)).max() == 0


def test_nothing_is_found_in_nothing() -> None:
    empty = np.full((1, 1), -6, np.float32)
    assert find_instances(np.zeros((2, 1, 1), np.float32), empty, DynamicsParams()).shape == (1, 1)


def test_holes_are_filled_and_small_objects_go() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[5:15, 5:15] = 1
    labels[8:10, 8:10] = 0
    labels[20:22, 20:22] = 2
    filled = dynamics.fill_and_drop_small(labels, 15)
    assert filled.max() == 1
    assert filled[5:15, 5:15].all()
