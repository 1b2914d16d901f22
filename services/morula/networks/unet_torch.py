"""The U-Net by torch, in each dtype that was asked for, channels last: measured faster, and the same numbers."""

from __future__ import annotations

import threading

import torch

from morula.networks.dtypes import Dtype
from morula.networks.files import State
from morula.networks.network import Answer, Batch
from morula.networks.torch_files import load_exactly
from morula.networks.torch_runtime import TorchNetwork, torch_dtype
from morula.networks.unet import UNet
from morula.networks.unet_shape import UNetConfig


class TorchUNet:
    """The network of a state dict."""

    def __init__(self, state: State, name: str, device: str | torch.device) -> None:
        self.name = name
        self._state = state
        self._device = device
        self._made: dict[torch.dtype, TorchNetwork] = {}
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> Answer:
        return self.in_dtype("")(batch)

    def in_dtype(self, dtype: Dtype) -> TorchNetwork:
        wanted = torch_dtype(dtype, self._device)
        with self._lock:
            if wanted not in self._made:
                layout = torch.channels_last
                network = read_unet(self._state).eval().to(self._device, wanted, memory_format=layout)  # type: ignore[call-overload]
                self._made[wanted] = TorchNetwork(network.see, self.name, self._device, wanted, layout)
            return self._made[wanted]


def read_unet(state: State) -> UNet:
    """A network with the weights of a state that was checked."""
    network = UNet(UNetConfig.of(state))
    absent = {name for name in network.state_dict() if name not in state}
    load_exactly(network, {name: torch.from_numpy(array) for name, array in state.items()}, absent)
    return network
