"""The U-Net by torch, in each dtype that was asked for, channels last: measured faster, and the same numbers."""

from __future__ import annotations

import torch

from morula.networks.dtypes import Dtype
from morula.networks.files import State
from morula.networks.network import InEachDtype
from morula.networks.torch_files import load_exactly
from morula.networks.torch_runtime import TORCH_DTYPES, TorchNetwork, fastest
from morula.networks.unet import UNet
from morula.networks.unet_shape import UNetConfig


def torch_unet(state: State, name: str, device: str | torch.device) -> InEachDtype:
    """The network of a state dict."""

    def make(dtype: Dtype) -> TorchNetwork:
        wanted, layout = TORCH_DTYPES[dtype], torch.channels_last
        network = read_unet(state).eval().to(device, wanted, memory_format=layout)  # type: ignore[call-overload]
        return TorchNetwork(network.see, name, device, wanted, layout)

    return InEachDtype(name, fastest(device), make)


def read_unet(state: State) -> UNet:
    """A network with the weights of a state that was checked."""
    network = UNet(UNetConfig.of(state))
    absent = {name for name in network.state_dict() if name not in state}
    load_exactly(network, {name: torch.from_numpy(array) for name, array in state.items()}, absent)
    return network
