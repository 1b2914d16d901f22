"""Which runtime computes the network that describes single cells."""

from __future__ import annotations

from morula.networks.devices import is_processor
from morula.networks.dtypes import Runtime
from morula.networks.files import State
from morula.networks.network import Network


def cell_net(state: State, told: str, device: str, runtime: Runtime = "openvino") -> Network:
    """The network of a state that was checked: by torch on an accelerator, else as the operator wants it."""
    if is_processor(device) and runtime == "openvino":
        from morula.networks import cell_net_graph
        from morula.networks.openvino_runtime import graph_network

        return graph_network(cell_net_graph.model(state, cell_net_graph.CellNetConfig.of(state)), told)
    from morula.networks.cell_net_torch import torch_cell_net

    return torch_cell_net(state, told, device)
