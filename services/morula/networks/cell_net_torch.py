"""The network that describes single cells by torch, shown grey levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from morula.networks.cell_net import CellNet
from morula.networks.cell_net_graph import CellNetConfig
from morula.networks.dtypes import Dtype
from morula.networks.files import COUNTED, CROP_SIDE, DIAMETER, State
from morula.networks.network import InEachDtype
from morula.networks.torch_files import load_exactly
from morula.networks.torch_runtime import TORCH_DTYPES, TorchNetwork, fastest

_LEVELS = 255


class Shown(nn.Module):
    """Grey levels of 0 to 255, the mask as 0 and 255."""

    def __init__(self, network: CellNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 4, H, W) -> nothing of each pixel; (B, dimensions)."""
        return x.new_empty((len(x), 0)), self.network(x / _LEVELS)


def torch_cell_net(state: State, name: str, device: str | torch.device) -> InEachDtype:
    """The network of a state that was checked, in each dtype that is asked for."""
    config = CellNetConfig.of(state)
    tensors = {name: torch.from_numpy(array) for name, array in state.items() if name not in (DIAMETER, CROP_SIDE)}

    def make(dtype: Dtype) -> TorchNetwork:
        network = CellNet(config.widths, config.dimension_count)
        load_exactly(network, tensors, {name for name in network.state_dict() if name.endswith(COUNTED)})
        wanted, layout = TORCH_DTYPES[dtype], torch.channels_last
        shown = Shown(network).eval().to(device, wanted, memory_format=layout)  # type: ignore[call-overload]
        return TorchNetwork(shown, name, device, wanted, layout)

    return InEachDtype(name, fastest(device), make)
