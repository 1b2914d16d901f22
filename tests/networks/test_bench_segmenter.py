"""The segmenter's measurement on a device: the way of an accelerator is what is measured, here with tensors at hand."""

import time

import numpy as np
import pytest

from morula.bench import whole
from morula.bench.known_cells import flows_of, nuclei
from morula.bench.report import Case
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed

from morula.segmenter import gpu_dynamics, measured  # noqa: E402
from morula.segmenter.dynamics import DynamicsParams, find_instances  # noqa: E402
from tests.networks.comparing import DEVICES  # noqa: E402

# The stock seeds are sparse tensors, which warn unless one says that they are not to be checked.
torch.sparse.check_sparse_tensor_invariants.disable()


@pytest.fixture(params=DEVICES)
def scale(request: pytest.FixtureRequest) -> whole.Scale:
    """As on an accelerator, but of a network without its blocks, which are what takes long."""
    return whole.Scale(
        request.param, is_gpu=True, block_count=0, batch=2, region_count=1, rounds=1, bound=">=5", region_tiles=1
    )


@pytest.fixture
def found_on_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices on which instances were found the way of an accelerator."""
    devices: list[str] = []
    way = gpu_dynamics.find_instances

    def seen(flow: torch.Tensor, logits: torch.Tensor, params: DynamicsParams) -> torch.Tensor:
        devices.append(flow.device.type)
        return way(flow, logits, params)

    monkeypatch.setattr(gpu_dynamics, "find_instances", seen)
    return devices


def by_name(cases: list[Case]) -> dict[str, Case]:
    return {case.name.rpartition(": ")[2]: case for case in cases}


@pytest.mark.slow
def test_the_whole_segmenter_is_measured_on_its_device(scale: whole.Scale, found_on_gpu: list[str]) -> None:
    cases = by_name(whole.cases(scale))
    # One round that warms, and one that counts.
    assert found_on_gpu == [scale.device] * 2 * scale.region_count
    assert cases["times stock"].bound == ">=5"
    assert cases["stock"].unit == cases["ours"].unit == "s"
    assert cases["times stock"].value == pytest.approx(cases["stock"].value / cases["ours"].value, abs=0.01)
    assert cases["of the roofline"].value > 0
    assert cases["of the roofline, network alone"].value > 0


def test_masks_on_a_device_are_measured_beside_the_stock_ones(scale: whole.Scale, found_on_gpu: list[str]) -> None:
    flow, logits = flows_of(nuclei(160, 15))
    cases = by_name(whole.on_gpu(scale, flow, logits))
    assert set(found_on_gpu) == {scale.device}
    assert cases["times stock"].value > 0
    expected = find_instances(flow, logits, DynamicsParams())
    assert expected.max() == 15
    assert np.array_equal(measured.gpu_masks(flow, logits, scale.device), expected)


def test_a_crop_of_the_published_network_is_727_gflop() -> None:
    assert measured.crop_flop(24) == pytest.approx(727.1e9, rel=1e-4)


def test_the_peak_is_that_of_a_product_of_matrices() -> None:
    """Slower than any processor could be, or faster, it were not."""
    assert 1e9 < measured.matmul_flop_per_s("cpu", torch.float32, time.process_time) < 1e13
