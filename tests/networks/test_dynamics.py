"""Flows to masks: those of the stock post-processing, and whole objects of any size, on the host and on a device."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tests.servers.require import networks, require

networks()
import torch  # noqa: E402 - only where it is installed
from cellpose import dynamics as stock  # noqa: E402

from morula.segmenter import dynamics, gpu, gpu_dynamics  # noqa: E402
from morula.segmenter.dynamics import DynamicsParams, find_instances  # noqa: E402
from tests.networks.comparing import DEVICES, same_cells  # noqa: E402

torch.set_num_threads(1)
# The stock seeds are sparse tensors, which warn unless one says that they are not to be checked.
torch.sparse.check_sparse_tensor_invariants.disable()
DEFAULTS = DynamicsParams()
Labels = NDArray[np.int32]
Find = Callable[[NDArray[np.float32], NDArray[np.float32], DynamicsParams], Labels]


def on_gpu(device: str) -> Find:
    def find(flow: NDArray[np.float32], logits: NDArray[np.float32], params: DynamicsParams) -> Labels:
        tensors = [torch.from_numpy(array).to(device) for array in (flow, logits)]
        return gpu.instances(tensors[0], tensors[1], params).labels

    return find


WAYS = {"host": find_instances, **{f"gpu-{device}": on_gpu(device) for device in DEVICES}}


@pytest.fixture(params=WAYS)
def find(request: pytest.FixtureRequest) -> Find:
    return WAYS[request.param]


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


def compared(find: Find, labels: Labels, seed: int, params: DynamicsParams = DEFAULTS) -> tuple[int, int]:
    """Cells that stock finds, and how many of them are ours to the pixel."""
    flow, logits = flows_of(labels, 0.3, seed)
    return agreed(find, flow, logits, of_stock(flow, logits, params), params)


def of_stock(flow: NDArray[np.float32], logits: NDArray[np.float32], params: DynamicsParams) -> Labels:
    found: Labels = stock.resize_and_compute_masks(
        flow,
        logits,
        niter=params.niter,
        flow_threshold=params.flow_threshold,
        cellprob_threshold=params.cellprob_threshold,
        min_size=params.min_size,
    ).astype(np.int32)
    return found


def agreed(
    find: Find, flow: NDArray[np.float32], logits: NDArray[np.float32], theirs: Labels, params: DynamicsParams
) -> tuple[int, int]:
    return int(theirs.max()), same_cells(theirs, find(flow, logits, params))


@cache
def real_nuclei(path: Path, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Labels]:
    """Flows, probabilities and what stock finds in them: the same for every way."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels = np.unique(image, return_inverse=True)[1].reshape(image.shape).astype(np.int32)
    flow, logits = flows_of(labels, 0.3, seed)
    return flow, logits, of_stock(flow, logits, DEFAULTS)


@pytest.mark.parametrize(
    "params",
    [
        DEFAULTS,
        DynamicsParams(flow_threshold=0.0),
        DynamicsParams(flow_threshold=0.3, cellprob_threshold=3.0, min_size=60, niter=60),
    ],
)
def test_masks_of_discs_are_the_stock_ones(find: Find, params: DynamicsParams) -> None:
    found, same = compared(find, discs(192, 45), 1, params)
    assert found > 5
    assert same == found


@pytest.mark.slow
def test_masks_of_real_nuclei_are_the_stock_ones(find: Find, data_dir: Path) -> None:
    """Knife-edge flow errors count as differences; one cell in a thousand may differ."""
    found = same = 0
    paths = sorted((data_dir / "he_nuclei" / "labels").glob("*.png"))[::7]
    require(paths, f"{data_dir}/he_nuclei", "MORULA_DATA names the folder that holds it")
    for seed, path in enumerate(paths):
        theirs, ours = agreed(find, *real_nuclei(path, seed), DEFAULTS)
        found, same = found + theirs, same + ours
    assert found > 500
    assert same >= 0.999 * found


def test_an_object_longer_than_any_crop_is_whole_and_once(find: Find) -> None:
    labels = np.zeros((90, 900), np.int32)
    labels[40:52, 20:880] = 1
    flow, logits = flows_of(labels, 0.0)
    found = find(flow, logits, DynamicsParams(niter=2000))
    assert found.max() == 1
    assert np.array_equal(found > 0, labels > 0)


def test_five_thousand_cells_in_a_tile(find: Find) -> None:
    labels = np.zeros((512, 512), np.int32)
    places = [(y, x) for y in range(4, 508, 7) for x in range(4, 508, 7)][:5000]
    for number, (y, x) in enumerate(places, 1):
        labels[y - 2 : y + 3, x - 2 : x + 3] = number
    flow, logits = flows_of(labels, 0.0)
    found = find(flow, logits, DynamicsParams())
    assert found.max() == 5000


def test_a_cell_that_fills_the_tile_is_too_large_unless_asked_for(find: Find) -> None:
    labels = np.ones((96, 96), np.int32)
    flow, logits = flows_of(labels, 0.0)
    assert find(flow, logits, DynamicsParams()).max() == 0
    assert find(flow, logits, DynamicsParams(max_size_fraction=1.0)).max() == 1


def test_a_cell_of_one_pixel_is_no_cell(find: Find) -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[20, 20] = 1
    logits = np.where(labels > 0, 6, -6).astype(np.float32)
    assert find(np.zeros((2, 40, 40), np.float32), logits, DynamicsParams(min_size=0)).max() == 0


def test_nothing_is_found_in_nothing(find: Find) -> None:
    empty = np.full((1, 1), -6, np.float32)
    assert find(np.zeros((2, 1, 1), np.float32), empty, DynamicsParams()).shape == (1, 1)


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1)])
def test_an_image_one_pixel_wide_is_no_error(find: Find, shape: tuple[int, int]) -> None:
    assert find(np.ones((2, *shape), np.float32), np.full(shape, 6, np.float32), DEFAULTS).shape == shape


@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
def test_pixels_that_merge_end_where_each_alone_does(noise: float) -> None:
    """Also where the flow is mere noise, and where it leads out of the image."""
    flow, _ = flows_of(discs(150, 40), 0.0)
    flow += np.random.default_rng(0).normal(0, noise, flow.shape).astype(np.float32)
    rows, columns = np.nonzero(np.abs(flow).sum(axis=0))
    drawn = flow / np.float32(5)
    alone = dynamics.walk(drawn, rows, columns, 200, 200)
    for leg_steps in (30, 7):
        assert np.array_equal(dynamics.walk(drawn, rows, columns, 200, leg_steps), alone)
    tensors = [torch.from_numpy(array) for array in (drawn, rows, columns)]
    published = gpu_dynamics.walk(*tensors, 200).numpy()
    # Where the flow is mere noise, paths that part at the last bit come to other ends.
    assert (published != alone).any(axis=0).mean() <= noise / 50


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flow_threshold", [0.0, 0.3, 0.6])
def test_a_device_finds_what_the_host_finds(device: str, flow_threshold: float) -> None:
    """Cells that touch and lie on each other, ends that many cells share, errors on both sides of the bound."""
    # Accelerators round otherwise.
    least = 1.0 if device == "cpu" else 0.999
    found = same = 0
    for seed in range(6):
        flow, logits = flows_of(discs(230 + 7 * seed, 30 + 30 * seed, seed), 0.1 * seed, seed)
        params = DynamicsParams(flow_threshold=flow_threshold, niter=40 * (seed + 1))
        host = find_instances(flow, logits, params)
        found, same = found + int(host.max()), same + same_cells(host, on_gpu(device)(flow, logits, params))
    assert found > 200
    assert same >= least * found


@pytest.mark.parametrize("device", DEVICES)
def test_flow_errors_of_a_device_are_those_of_the_host(device: str) -> None:
    labels = discs(200, 60)
    flow, _ = flows_of(labels, 0.4)
    place = np.flatnonzero(labels)
    cell = torch.from_numpy(labels.ravel()[place].astype(np.int64) - 1).to(device)
    found = gpu_dynamics.flow_errors(
        torch.from_numpy(place).to(device), cell, int(labels.max()), torch.from_numpy(flow).to(device)
    )
    # At a centre the direction of no slope at all is rounding noise, and one pixel of 80 may turn round.
    assert found.cpu().numpy() == pytest.approx(dynamics.flow_errors(labels, flow), abs=0.06)


def test_what_is_no_number_costs_no_cell_elsewhere(find: Find) -> None:
    labels = np.pad(discs(60, 8), ((0, 60), (0, 0)))
    flow, logits = flows_of(labels, 0.0)
    expected = find(flow, logits, DEFAULTS)
    flow[:, 90:100, 20:40] = logits[90:100, 20:40] = np.nan
    logits[95, 25:30] = 6
    found = find(flow, logits, DEFAULTS)
    assert expected.max() > 2
    assert np.array_equal(found[:60], expected[:60])


def test_holes_are_filled_and_small_objects_go() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[5:15, 5:15] = 1
    labels[8:10, 8:10] = 0
    labels[20:22, 20:22] = 2
    filled = dynamics.fill_and_drop_small(labels, 15)
    assert filled.max() == 1
    assert filled[5:15, 5:15].all()
