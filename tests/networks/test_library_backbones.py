"""Backbones of timm and torchvision by name: what they say of a cell is what the library's network plainly says."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from morula.common.compute import Processors
from morula.common.errors import InvalidArgument, ModelUnavailable
from morula.common.models import ModelSpec
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS
from morula.networks.models import Models
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add
from tests.servers.require import networks, require
from tests.unit.embedder.test_crops import two_cells

networks()
import torch  # noqa: E402 - only where it is installed
import torchvision  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

# Of each library a small network of convolutions; of timm a transformer, too, whose pictures have another size.
NAMED = [
    ("torchvision", "mobilenet_v3_small", 1024, 224),
    ("timm", "test_vit.r160_in1k", 64, 160),
    ("timm", "test_resnet", 96, 160),
]
WHOLE = ("torchvision", "shufflenet_v2_x0_5")


def needs(library: str) -> None:
    if library == "timm":
        require(find_spec("timm"), "timm", "it comes with the extra `backbones` (make test installs it)")


def made(library: str, name: str) -> nn.Module:
    """The library's network, whole, its weights drawn."""
    torch.manual_seed(0)
    if library == "timm":
        import timm

        network: nn.Module = timm.create_model(name, pretrained=False)
    else:
        network = torchvision.models.get_model(name, weights=None)
    return network.eval()


def file_of(network: nn.Module, place: Path) -> Path:
    save_file(network.state_dict(), place / "weights.safetensors")
    return place / "weights.safetensors"


def said(network: nn.Module, library: str, pictures: torch.Tensor) -> torch.Tensor:
    """What the last linear layer would see, and of timm what it calls the features before its head."""
    if library == "timm":
        return network.forward_head(network.forward_features(pictures), pre_logits=True)  # type: ignore[no-any-return,operator]
    seen: list[torch.Tensor] = []
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    hook = last.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network(pictures)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(("library", "name", "width", "side_px"), NAMED)
def test_vectors_are_the_librarys(tmp_path: Path, library: str, name: str, width: int, side_px: int) -> None:
    needs(library)
    network, folder = made(library, name), DataFolder(tmp_path / "data")
    spec = add(folder, library, [file_of(network, tmp_path)], None, Wishes(backbone=name))
    assert (spec.name, spec.backbone, len(spec.columns), spec.picture_px) == (name, name, width, side_px)
    (read,) = WeightsFolder(folder.weights).rows()
    assert read == spec
    assert read.revision == spec.revision
    models = Models("embedder", MODELS, WeightsFolder(folder.weights), device="cpu", processors=Processors(1))
    cells = two_cells()
    try:
        model = models[name].computing("float32", 1)
        vectors = model(cells, lambda: None)
        pictures = model.views[0](cells)(np.arange(2))
    finally:
        models.close()
    assert pictures.shape == (2, 3, side_px, side_px)
    normalize = torchvision.transforms.Normalize(spec.mean, spec.std)
    with torch.inference_mode():
        theirs = said(network, library, normalize(torch.from_numpy(pictures / np.float32(255))))
    expected = nn.functional.normalize(theirs, dim=1).numpy()
    assert vectors.shape == expected.shape == (2, width)
    assert np.abs(vectors - expected).max() < 1e-4
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


def added(tmp_path: Path, wishes: Wishes, family: str = "torchvision") -> ModelSpec:
    return add(DataFolder(tmp_path / "data"), family, [file_of(made(*WHOLE), tmp_path)], None, wishes)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
@pytest.mark.parametrize("name", ["nothing", "hf-hub:somebody/something", "../weights"])
def test_a_name_that_the_library_does_not_have_is_told(tmp_path: Path, library: str, name: str) -> None:
    needs(library)
    with pytest.raises(InvalidArgument, match="has no network"):
        added(tmp_path, Wishes("mine", backbone=name), library)


def test_weights_that_timm_does_not_know_are_told(tmp_path: Path) -> None:
    needs("timm")
    with pytest.raises(InvalidArgument, match="tag"):
        added(tmp_path, Wishes("mine", backbone="test_vit.nobody"), "timm")


def test_a_network_has_to_be_named_and_only_of_a_library(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="--backbone NAME"):
        added(tmp_path, Wishes())
    with pytest.raises(WrongUse, match="--backbone is for timm and torchvision"):
        added(tmp_path, Wishes(backbone="resnet18"), "resnet50")
    with pytest.raises(InvalidArgument, match="no linear layer"):
        added(tmp_path, Wishes(backbone="squeezenet1_1"))


def test_every_tensor_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="in another shape conv5"):
        added(tmp_path, Wishes(backbone="shufflenet_v2_x1_0"))
    spec = added(tmp_path, Wishes("both", backbone=WHOLE[1], window_um=20.0, context_um=60.0))
    assert (len(spec.columns), spec.window_um, spec.context_um) == (2 * 1024, 20.0, 60.0)


def test_where_timm_is_not_installed_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm" or "timm" in name.split(".")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "morula.networks.timm_backbones", raising=False)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelUnavailable, match=r"need timm, which is not installed: .*\[backbones\]"):
        added(tmp_path, Wishes(backbone="resnet18"), "timm")
