"""The residual U-Net of Cellpose 1 to 3 as a backend: released state dicts and ours, one or several, any width."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.networks.crop_queue import CropQueue, Network
from morula.networks.files import load_exactly, read_state
from morula.networks.unet import UNet, UNetConfig
from morula.segmenter.crop_backend import CropBackend, SizeModel, Traits
from morula.segmenter.flows import FlowModel

CROP_PX = 224
# The first released files do not contain a diameter.
_OPTIONAL = ("diam_mean", "diam_labels")
_SIZE_SHAPES = {"A": 1, "smean": 1, "ymean": 0, "diam_mean": 0}
_LEAST_DIAMETER_PX = 5.0


class UNetNetwork:
    """A U-Net on a device, channels last: measured faster, and the same numbers."""

    def __init__(self, network: UNet, name: str, device: torch.device) -> None:
        self.name = name
        self._network: nn.Module = network.eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        outputs: Tensor
        style: Tensor
        outputs, style = self._network(crops.contiguous(memory_format=torch.channels_last))
        return outputs, style


def read_network(path: Path) -> UNet:
    """The network of a file, every tensor checked."""
    state = read_state(path)
    try:
        config = UNetConfig.of(state)
    except (KeyError, IndexError) as error:
        raise ModelUnavailable(f"{path.name} is no Cellpose U-Net: it has no {error}") from error
    network = UNet(config)
    load_exactly(network, state, _OPTIONAL)
    return network


def read_size_model(path: Path) -> SizeModel:
    """Style -> diameter in px, of a safetensors file with `A`, `smean`, `ymean` and `diam_mean`."""
    state = read_state(path)
    if {name: tensor.squeeze().ndim for name, tensor in state.items()} != _SIZE_SHAPES:
        raise ModelUnavailable(f"{path.name} is no size model: it holds {', '.join(sorted(state))}")
    slope, mean = (state[name].squeeze().double().numpy() for name in ("A", "smean"))
    offset = float(state["ymean"]) + float(np.log(float(state["diam_mean"])))

    def size(style: NDArray[np.float32]) -> float:
        return max(_LEAST_DIAMETER_PX, float(np.exp(slope @ (style - mean) + offset)))

    return size


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> FlowModel:
    """The registry's row with its files: one network or several, and perhaps a size model."""
    networks = [read_network(path) for role, path in files if role == "network"]
    sizes = [read_size_model(path) for role, path in files if role == "size"]
    if len({network.config.channel_count for network in networks}) != 1:
        raise ModelUnavailable(f"{spec.name}: networks of one ensemble see the same channels")
    traits = Traits(
        crop_px=CROP_PX,
        channels=spec.channels[: networks[0].config.channel_count],
        diameter_px=float(networks[0].diam_mean),
        fills_crops=False,
        object_um=spec.object_um,
    )
    ready: list[Network] = [UNetNetwork(network, spec.name, queue.device) for network in networks]
    return FlowModel(CropBackend(ready, traits, queue, sizes[0] if sizes else None))
