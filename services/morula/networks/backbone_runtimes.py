"""Which runtime computes a backbone."""

from __future__ import annotations

from morula.networks.devices import is_processor
from morula.networks.dtypes import Runtime
from morula.networks.files import State
from morula.networks.network import Network


def backbone(name: str, state: State, told: str, device: str, runtime: Runtime = "openvino") -> Network:
    """The network of a state that was checked: by torch on an accelerator, else as the operator wants it."""
    if is_processor(device) and runtime == "openvino":
        from morula.networks import backbones
        from morula.networks.openvino_runtime import graph_network

        return graph_network(backbones.model(name, state), told)
    from morula.networks.backbones_torch import torch_backbone

    return torch_backbone(name, state, told, device)
