"""Backbones that a library defines by name. Files are an operator's; nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from morula.common.errors import ModelUnavailable
from morula.networks.backbones_torch import Pictured
from morula.networks.dtypes import Dtype
from morula.networks.files import COUNTED, State, check, read_state
from morula.networks.network import InEachDtype
from morula.networks.torch_files import load_exactly
from morula.networks.torch_runtime import TORCH_DTYPES, TorchNetwork, fastest

CHANNELS = 3


@dataclass(frozen=True)
class Definition:
    """A network without weights and without the layer that names classes, and the pictures it is made for."""

    name: str
    network: nn.Module
    """What it answers is what its head would see."""
    head: frozenset[str]
    """Tensors of the head, by their names in the file: they are left away."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of colours of 0 to 1."""
    side_px: int


def dimension_count(definition: Definition) -> int:
    """The length of its vectors."""
    side = definition.side_px
    with torch.inference_mode():
        said = definition.network.eval()(torch.zeros(1, CHANNELS, side, side))
    if not isinstance(said, Tensor) or said.ndim != 2:
        raise ModelUnavailable(f"{definition.name} says no vector of a picture of {side} px: it cannot describe cells")
    return int(said.shape[1])


def read(definition: Definition, path: Path) -> State:
    """A file's tensors without the head, every one checked."""
    state = {name: values for name, values in read_state(path).items() if name not in definition.head}
    expected = {name: tuple(tensor.shape) for name, tensor in definition.network.state_dict().items()}
    check(state, expected, _counted(expected))
    return state


def network_of(
    definition: Definition,
    state: State,
    name: str,
    device: str | torch.device,
    mean: Sequence[float],
    std: Sequence[float],
) -> InEachDtype:
    """The network of a state that was checked, in each dtype that is asked for."""

    def make(dtype: Dtype) -> TorchNetwork:
        network = deepcopy(definition.network)
        tensors = {name: torch.from_numpy(values) for name, values in state.items()}
        load_exactly(network, tensors, _counted(network.state_dict()))
        wanted, layout = TORCH_DTYPES[dtype], torch.channels_last
        pictured = Pictured(network, mean, std).eval().to(device, wanted, memory_format=layout)  # type: ignore[call-overload]
        return TorchNetwork(pictured, name, device, wanted, layout)

    return InEachDtype(name, fastest(device), make)


def _counted(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.endswith(COUNTED)}
