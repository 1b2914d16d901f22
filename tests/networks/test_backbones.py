"""Backbones without torch say what torchvision's networks say of the same weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from morula.common.compute import Processors
from morula.common.errors import ModelUnavailable
from morula.embedder.crops import resized_middle
from morula.networks import backbones
from morula.networks.backbone_runtimes import backbone
from morula.networks.crop_queue import CropQueue
from morula.networks.devices import fast_dtype
from morula.networks.dtypes import Dtype, Runtime
from morula.networks.network import computing_in
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
import torchvision  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize  # noqa: E402

SIDE_PX, BOX_PX = 96, 224
NAMES = sorted(backbones.BACKBONES)


@pytest.fixture(scope="module", params=NAMES)
def released(request: pytest.FixtureRequest, pictures: NDArray[np.uint8]) -> tuple[str, nn.Module]:
    """A network as torchvision has it, its norms those of pictures, as if they had been trained."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(request.param, weights=None).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            module.weight.data.uniform_(0.9, 1.1)
            module.bias.data.uniform_(-0.1, 0.1)
    with torch.no_grad():
        network(torch.from_numpy(pictures / np.float32(127) - 1))
    return request.param, network.eval()


@pytest.fixture(scope="module")
def file(released: tuple[str, nn.Module], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "released.safetensors"
    save_file(released[1].state_dict(), path)
    return path


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    """Dark, of middle brightness and of much contrast."""
    rng, far = np.random.default_rng(0), ((0, 60), (90, 160), (0, 256))
    smooth = [rng.integers(*levels, (12, 12, 3), np.uint8) for levels in far]
    return np.stack([cv2.resize(each, (SIDE_PX, SIDE_PX)) for each in smooth]).transpose(0, 3, 1, 2)


def expected(released: tuple[str, nn.Module], pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What its head would see of pictures that torchvision normalises, one by one, in single precision."""
    name, network = released
    head = backbones.BACKBONES[name].head.rstrip(".")
    seen: list[torch.Tensor] = []
    hook = getattr(network, head).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    normalize = torchvision.transforms.Normalize(backbones.MEAN, backbones.STD)
    with torch.inference_mode():
        for picture in pictures:
            network(normalize(torch.from_numpy(picture / np.float32(255)))[None])
    hook.remove()
    return torch.cat(seen).numpy()


@pytest.mark.parametrize(
    ("runtime", "dtype", "bound"),
    [("openvino", "float32", 1e-4), ("torch", "float32", 1e-4), ("openvino", "bfloat16", 0.2)],
)
def test_vectors_are_the_released_networks(
    released: tuple[str, nn.Module],
    file: Path,
    pictures: NDArray[np.uint8],
    runtime: Runtime,
    dtype: Dtype,
    bound: float,
) -> None:
    if dtype not in ("float32", fast_dtype()):
        pytest.skip("this processor does not compute in bfloat16")
    network = backbone(released[0], backbones.read(released[0], file), "mine", "cpu", runtime)
    queue = CropQueue("cpu", processors=Processors(1))
    try:
        said = queue.run(computing_in(network, dtype), pictures, lambda: None).styles
    finally:
        queue.close()
    theirs = expected(released, pictures)
    assert said.shape == theirs.shape == (len(pictures), backbones.BACKBONES[released[0]].dimension_count)
    differ = np.linalg.norm(said - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert differ.max() < bound
    assert np.linalg.norm(theirs[0] - theirs[1]) / np.linalg.norm(theirs[0]) > 2 * bound, "pictures differ by more"


def test_every_tensor_is_checked(released: tuple[str, nn.Module], file: Path, tmp_path: Path) -> None:
    name, network = released
    counted = {tensor for tensor in network.state_dict() if tensor.endswith(("num_batches_tracked",))}
    head = {tensor for tensor in network.state_dict() if tensor.startswith(backbones.BACKBONES[name].head)}
    assert backbones.shapes(name).keys() == network.state_dict().keys() - counted - head
    state = {tensor: values for tensor, values in network.state_dict().items() if tensor not in head}
    first = next(tensor for tensor in state if tensor.endswith("weight"))
    changed: list[tuple[dict[str, torch.Tensor], str]] = [
        ({tensor: values for tensor, values in state.items() if tensor != first}, f"lacks {first}"),
        ({**state, first: torch.zeros(1)}, f"in another shape {first}"),
        ({**state, "other": torch.zeros(1)}, "unknown other"),
        ({**state, first: torch.full_like(state[first], torch.nan)}, "not finite"),
    ]
    for number, (tensors, message) in enumerate(changed):
        path = tmp_path / f"{number}.safetensors"
        save_file(tensors, path)
        with pytest.raises(ModelUnavailable, match=message):
            backbones.read(name, path)


@pytest.mark.parametrize(("height", "width"), [(17, 23), (61, 20), (300, 411)])
def test_a_box_is_what_torchvision_shows(height: int, width: int) -> None:
    box = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    transform = Compose([Resize(256, interpolation=InterpolationMode.BILINEAR, antialias=True), CenterCrop(BOX_PX)])
    theirs = np.asarray(transform(Image.fromarray(box))).transpose(2, 0, 1)
    assert np.abs(resized_middle(box, BOX_PX).astype(int) - theirs).max() <= 1
