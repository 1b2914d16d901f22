"""Nothing is left on the processor: the device `meta`, which only knows shapes, takes no tensor of another device."""

from pathlib import Path

import pytest

from morula.segmenter import crops
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed

from morula.networks import unet_files  # noqa: E402
from morula.networks.unet_torch import torch_unet  # noqa: E402
from morula.segmenter import cellpose_sam, gpu, gpu_dynamics  # noqa: E402

META = torch.device("meta")
UNET = Path(__file__).parents[1] / "oracles" / "unet_narrow.pth"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cellpose_sam_is_wholly_on_its_device(dtype: torch.dtype) -> None:
    network = cellpose_sam.sam_network(cellpose_sam.published(2), "sam", META, dtype)
    outputs, style = network.compute(torch.zeros(4, 3, 256, 256, device=META))
    assert (outputs.device, outputs.dtype, outputs.shape) == (META, dtype, (4, 3, 256, 256))
    assert style.device == META


def test_the_unet_is_wholly_on_its_device() -> None:
    network = torch_unet(unet_files.read(UNET), "unet", META).in_dtype("float32")
    outputs, style, features = network.compute(torch.zeros(4, 2, 224, 224, device=META))
    assert (outputs.device, style.device, features.device) == (META, META, META)
    assert (outputs.shape, features.shape) == ((4, 3, 224, 224), (4, 4, 224, 224))


@pytest.mark.parametrize("augment", [False, True])
def test_crops_are_blended_on_their_device(augment: bool) -> None:
    grid = crops.plan(300, 500, 64, augment=augment)
    outputs = [[torch.zeros(3, 64, 64, device=META)] * grid.crop_count] * 2
    assert gpu.blend(outputs, grid).device == META


def test_what_repeats_and_what_grows_stays_on_its_device() -> None:
    """What depends on the values of tensors has no shape there, so only parts of the way can be tried."""
    pixels, cells = torch.zeros(50, dtype=torch.int64, device=META), torch.zeros(7, dtype=torch.int64, device=META)
    assert gpu_dynamics.walk(torch.zeros(2, 30, 40, device=META), pixels, pixels, 3).device == META
    counts = torch.zeros(70 * 80, dtype=torch.int32, device=META)
    assert gpu_dynamics.grow(counts, cells, 80).device == META
    neighbours = torch.zeros(9, 50, dtype=torch.int32, device=META)
    assert gpu_dynamics.diffuse(neighbours, cells, 3).device == META
