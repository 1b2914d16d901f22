"""The way of a device, from crops to instances: the same as the host's, which takes over where memory runs out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from morula.common.compute import Processors, go_on
from morula.onebox.images import read_image
from morula.segmenter import crops
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from tests.servers.require import networks, require

networks()
import torch  # noqa: E402 - only where it is installed
from torch.nn import functional  # noqa: E402

from morula.networks import metrics, shipped, unet_files  # noqa: E402
from morula.networks.crop_queue import CropQueue  # noqa: E402
from morula.networks.files import DIAMETER  # noqa: E402
from morula.networks.network import Answer, Batch  # noqa: E402
from morula.networks.unet_torch import torch_unet  # noqa: E402
from morula.segmenter import gpu, gpu_dynamics  # noqa: E402
from morula.segmenter.crop_backend import CropBackend, Traits, finish_there  # noqa: E402
from morula.segmenter.dynamics import DynamicsParams  # noqa: E402
from morula.segmenter.flows import CropOutputs, FlowModel, Flows, dynamics_params  # noqa: E402
from morula.segmenter.gpu import GpuFlows  # noqa: E402
from tests.networks.comparing import DEVICES, same_cells  # noqa: E402

UNET = Path(__file__).parents[1] / "oracles" / "unet_narrow.pth"
TRAITS = Traits(64, ("inverted_gray", "blue"), 20.0, fills_crops=False)


@pytest.fixture(params=DEVICES)
def queue(request: pytest.FixtureRequest) -> Iterator[CropQueue]:
    opened = CropQueue(request.param, batch=3, processors=Processors(1))
    yield opened
    opened.close()


def pixels(height: int = 150, width: int = 210) -> NDArray[np.uint8]:
    """Soft dots."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    dots = [np.hypot(y - cy, x - cx) < 9 for cy, cx in random.uniform(0, (height, width), (40, 2))]
    light = np.where(np.any(dots, axis=0), 90, 220)[..., None] + random.normal(0, 6, (height, width, 3))
    return np.clip(light, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("size", [(300, 517), (64, 64), (41, 200), (1, 1)])
def test_crops_are_blended_as_on_the_host(device: str, size: tuple[int, int], augment: bool) -> None:
    grid = crops.plan(*size, 64, augment=augment)
    random = np.random.default_rng(0)
    networks = [random.normal(size=(grid.crop_count, 4, *grid.crop)).astype(np.float32) for _ in range(2)]
    outputs = [list(torch.from_numpy(network).to(device)) for network in networks]
    expected = crops.blend(np.mean(networks, axis=0), grid)
    assert np.abs(gpu.blend(outputs, grid).cpu().numpy() - expected).max() < 1e-5


class Uphill:
    """A network that draws dark pixels to where it is darkest, seen as sharply as `blur_px` says."""

    def __init__(self, blur_px: int, device: str) -> None:
        self.name = f"uphill {blur_px}"
        self._blur_px = blur_px
        self._device = device

    def __call__(self, batch: Batch) -> Answer:
        """What it says stays a tensor, also where the device is a processor."""
        maps, style = self._compute(torch.from_numpy(batch.packed()[: batch.filled]).to(self._device))
        return Answer(maps, style.cpu().numpy())

    def _compute(self, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        dark = shown[:, :1]
        for _ in range(3):
            dark = functional.avg_pool2d(dark, self._blur_px, 1, self._blur_px // 2)
        slope = torch.cat(torch.gradient(dark, dim=(2, 3)), dim=1)
        flow = 5 * slope / slope.norm(dim=1, keepdim=True).clamp(min=1e-3)
        return torch.cat([flow, 10 * (dark - 0.4)], dim=1), dark.mean(dim=(2, 3))


@pytest.mark.parametrize("diameter_um", [0.0, 7.0, 14.0])
@pytest.mark.parametrize("augment", [False, True])
def test_both_ways_find_the_same_in_an_image(queue: CropQueue, augment: bool, diameter_um: float) -> None:
    """Two networks, at the image's own scale and at others."""
    members = [Uphill(blur_px, queue.device) for blur_px in (5, 7)]
    wanted = Wanted(diameter_um=diameter_um, flows=FlowParams(augment=augment, normalize="image"))
    host, device = (
        FlowModel(CropBackend(members, TRAITS, queue, finish=finish))(pixels(), 0.5, wanted)
        for finish in (Flows.of, GpuFlows)
    )
    assert host.labels.max() > 10
    assert same_cells(host.labels, device.labels) >= 0.999 * host.labels.max()
    assert device.scores == pytest.approx(host.scores, abs=1e-4)


@pytest.mark.slow
def test_both_ways_find_the_same_on_tissue(queue: CropQueue, data_dir: Path) -> None:
    """The network that ships, at its own scale: one cell in a thousand may differ by the last bits of the blend."""
    paths = sorted((data_dir / "he_nuclei" / "images").glob("*"))[::18]
    require(paths, f"{data_dir}/he_nuclei", "MORULA_DATA names the folder that holds it")
    (row,) = shipped.rows("segmenter")
    state = unet_files.read(dict(shipped.files(row))["network"])
    members = [torch_unet(state, row.name, queue.device)]
    traits = Traits(224, row.channels, state[DIAMETER].item(), fills_crops=False, object_um=row.object_um)
    heard: list[CropOutputs] = []

    def both(outputs: CropOutputs) -> Flows:
        heard.append(outputs)
        return Flows.of(outputs)

    backend = CropBackend(members, traits, queue, finish=both)
    found = same = 0
    for path in paths:
        flows = backend.infer(read_image(path)[:512, :512], 0.25, Wanted(), go_on)
        params = dynamics_params(flows.rescale, 0.25, Wanted())
        host, device = (way.instances(params).labels for way in (flows, GpuFlows(heard[-1])))
        found, same = found + int(host.max()), same + same_cells(host, device)
    assert found > 100
    assert same >= 0.999 * found


def test_where_memory_runs_out_the_host_takes_over_and_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = crops.plan(90, 70, 64, whole=False)
    image = np.stack([*np.mgrid[-45:45, -35:35] / -9.0, np.full((90, 70), 5.0)]).astype(np.float32)
    outputs = CropOutputs([list(torch.from_numpy(crops.cut(image, grid)))], grid, 90, 70, np.empty(0, np.float32), 1.0)

    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(gpu_dynamics, "find_instances", full)
    before = metrics.OUT_OF_MEMORY._value.get()
    params = DynamicsParams(flow_threshold=0, max_size_fraction=1)
    found = GpuFlows(outputs).instances(params)
    assert metrics.OUT_OF_MEMORY._value.get() == before + 1
    assert found.labels.max() == found.scores.size == 1
    assert np.array_equal(found.labels, Flows.of(outputs).instances(params).labels)


def test_where_the_crops_lie_decides_which_way_is_taken() -> None:
    grid, style = crops.plan(90, 70, 64, augment=False), np.empty(0, np.float32)
    here = list(np.zeros((grid.crop_count, 3, *grid.crop), np.float32))
    on_gpu = list(torch.zeros(grid.crop_count, 3, *grid.crop))
    assert isinstance(finish_there(CropOutputs([here], grid, 90, 70, style, 1.0)), Flows)
    assert isinstance(finish_there(CropOutputs([on_gpu], grid, 90, 70, style, 1.0)), GpuFlows)


def test_style_needs_no_blend(queue: CropQueue) -> None:
    network = torch_unet(unet_files.read(UNET), "unet", queue.device)
    styles = [
        CropBackend([network], TRAITS, queue, finish=finish).infer(pixels(), 0.5, Wanted(), go_on).style
        for finish in (Flows.of, GpuFlows)
    ]
    assert np.array_equal(*styles)
