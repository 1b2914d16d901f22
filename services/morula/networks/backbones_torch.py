"""Backbones by torch: torchvision's own definitions, without the layer that names classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor, nn

from morula.networks.backbones import BACKBONES, MEAN, STD
from morula.networks.dtypes import Dtype
from morula.networks.files import COUNTED, State
from morula.networks.network import InEachDtype
from morula.networks.torch_files import load_exactly
from morula.networks.torch_runtime import TORCH_DTYPES, TorchNetwork, fastest


class Pictured(nn.Module):
    """A network of normalised photographs, shown grey levels of 0 to 255."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, 255 * torch.tensor(values).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> nothing of each pixel; (B, dimensions)."""
        return x.new_empty((len(x), 0)), self.network((x - self.mean) / self.std)


def torch_backbone(backbone: str, state: State, name: str, device: str | torch.device) -> InEachDtype:
    """The network of a state that was checked, in each dtype that is asked for."""

    def make(dtype: Dtype) -> TorchNetwork:
        wanted, layout = TORCH_DTYPES[dtype], torch.channels_last
        network = Pictured(headless(backbone, state)).eval().to(device, wanted, memory_format=layout)  # type: ignore[call-overload]
        return TorchNetwork(network, name, device, wanted, layout)

    return InEachDtype(name, fastest(device), make)


def headless(backbone: str, state: State) -> nn.Module:
    """torchvision's network with these weights; what it answers is what its head would see."""
    network: nn.Module = torchvision.models.get_model(backbone, weights=None)
    setattr(network, BACKBONES[backbone].head.rstrip("."), nn.Identity())
    absent = {name for name in network.state_dict() if name.endswith(COUNTED)}
    load_exactly(network, {name: torch.from_numpy(array) for name, array in state.items()}, absent)
    return network
