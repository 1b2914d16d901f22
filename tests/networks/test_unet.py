"""The U-Net, its style and its size model are Cellpose 3's: compared with files that `make oracles` wrote."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from morula.common.compute import Processors
from morula.common.models import FAMILIES
from morula.segmenter.instances import Wanted, unstoppable
from morula.segmenter.params import FlowParams
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed

from morula.networks.crop_queue import CropQueue  # noqa: E402
from morula.networks.unet import UNet, UNetConfig  # noqa: E402
from morula.segmenter import cellpose_unet  # noqa: E402
from morula.segmenter.crop_backend import CropBackend, Traits  # noqa: E402

ORACLES = Path(__file__).parents[1] / "oracles"
NETWORK, SIZE = ORACLES / "unet_narrow.pth", ORACLES / "size_narrow.safetensors"
TRAITS = Traits(cellpose_unet.CROP_PX, ("gray", "none"), 17.0, fills_crops=False)
ROW = next(row for row in FAMILIES if row.name == "cellpose-unet")


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(ORACLES / "unet_narrow.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def queue() -> Iterator[CropQueue]:
    opened = CropQueue("cpu", batch=2, processors=Processors(1))
    yield opened
    opened.close()


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def backend(queue: CropQueue) -> CropBackend:
    network = cellpose_unet.UNetNetwork(cellpose_unet.read_network(NETWORK), "narrow", queue.device)
    return CropBackend([network], TRAITS, queue, cellpose_unet.read_size_model(SIZE))


def test_the_network_and_its_style_are_the_stock_ones(expected: dict[str, np.ndarray]) -> None:
    network = cellpose_unet.read_network(NETWORK).eval()
    with torch.inference_mode():
        outputs, style = network(torch.from_numpy(expected["crops"]))
    assert difference(outputs.numpy(), expected["outputs"]) < 1e-5
    assert difference(style.numpy(), expected["style"]) < 1e-5


@pytest.mark.parametrize(
    ("name", "diameter_px", "params"),
    [("plain", 17.0, {}), ("small", 25.0, {}), ("augmented", 17.0, {"augment": True})],
)
def test_flows_of_an_image_are_the_stock_ones(expected, queue, name, diameter_px, params) -> None:  # type: ignore[no-untyped-def]
    wanted = Wanted(diameter_um=diameter_px * 0.5, flows=FlowParams(normalize="image", **params))
    flows = backend(queue).infer(expected["pixels"], 0.5, wanted, unstoppable)
    assert difference(flows.flow, expected[f"{name}_flow"]) < 1e-5
    assert difference(flows.probability, expected[f"{name}_probability"]) < 1e-5
    assert difference(flows.style, expected[f"{name}_style"]) < 1e-5


def test_the_size_model_is_the_stock_one(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    wanted = Wanted(flows=FlowParams(normalize="image"))
    found = backend(queue).first_diameter_um(expected["pixels"], 0.5, wanted, unstoppable)
    assert found / 0.5 == pytest.approx(float(expected["diameter_px"]), rel=1e-5)


def test_an_ensemble_of_equals_is_each_of_them(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    one = cellpose_unet.load(ROW, [("network", NETWORK)], queue)
    two = cellpose_unet.load(ROW, [("network", NETWORK), ("network", NETWORK)], queue)
    wanted = Wanted(flows=FlowParams(flow_threshold=0, cellprob_threshold=-9))
    assert np.array_equal(one(expected["pixels"], 0.5, wanted).labels, two(expected["pixels"], 0.5, wanted).labels)


def other_network(queue: CropQueue) -> cellpose_unet.UNetNetwork:
    """The narrow network with other numbers."""
    network = cellpose_unet.read_network(NETWORK)
    with torch.no_grad():
        for parameter in network.output.parameters():
            parameter.mul_(-3)
    return cellpose_unet.UNetNetwork(network, "other", queue.device)


def test_an_ensemble_of_others_is_their_mean(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    first = cellpose_unet.UNetNetwork(cellpose_unet.read_network(NETWORK), "narrow", queue.device)
    second = other_network(queue)
    one, other, both = (
        CropBackend(members, TRAITS, queue).infer(expected["pixels"], 0.5, Wanted(), unstoppable)
        for members in ([first], [second], [first, second])
    )
    assert difference(other.flow, one.flow) > 0.1
    assert difference(both.flow, (one.flow + other.flow) / 2) < 1e-6
    assert difference(both.probability, (one.probability + other.probability) / 2) < 1e-6


def test_channels_of_a_request_take_the_place_of_the_networks_own(
    expected: dict[str, np.ndarray], queue: CropQueue
) -> None:
    network = cellpose_unet.UNetNetwork(cellpose_unet.read_network(NETWORK), "narrow", queue.device)
    own = CropBackend([network], replace(TRAITS, channels=("inverted_red", "blue")), queue)
    asked = Wanted(flows=FlowParams(channels=("inverted_red", "blue")))
    overridden = backend(queue).infer(expected["pixels"], 0.5, asked, unstoppable)
    assert np.array_equal(overridden.flow, own.infer(expected["pixels"], 0.5, Wanted(), unstoppable).flow)
    plain = backend(queue).infer(expected["pixels"], 0.5, Wanted(), unstoppable)
    assert difference(overridden.flow, plain.flow) > 1e-3


def test_what_is_done_is_counted(expected: dict[str, np.ndarray], queue: CropQueue) -> None:
    names = ["network_crops_total", "segmenter_cells_total", "network_batch_fill_count", "network_batch_seconds_count"]
    phases = ("prepare", "instances")

    def counted() -> list[float]:
        found = [REGISTRY.get_sample_value(f"morula_{name}") for name in names]
        seconds = "morula_segmenter_phase_seconds_count"
        found += [REGISTRY.get_sample_value(seconds, {"phase": phase}) for phase in phases]
        return [value or 0.0 for value in found]

    model = cellpose_unet.load(ROW, [("network", NETWORK)], queue)
    before = counted()
    cells = model(expected["pixels"], 0.5, Wanted(flows=FlowParams(flow_threshold=0, cellprob_threshold=-9))).scores
    crops, found, batches, timed, *phase_counts = (now - then for now, then in zip(counted(), before, strict=True))
    assert found == cells.size > 0
    assert (crops, batches, timed) == (2, 1, 1), "two crops are one batch of two"
    assert phase_counts == [1, 1]


def test_width_and_channels_are_read_off_the_file() -> None:
    config = UNetConfig(channel_count=1, widths=(4, 8, 12))
    assert UNetConfig.of(UNet(config).state_dict()) == config
