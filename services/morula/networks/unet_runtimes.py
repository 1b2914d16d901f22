"""Which runtime computes a U-Net."""

from __future__ import annotations

from morula.networks.devices import is_processor
from morula.networks.dtypes import Runtime
from morula.networks.files import State
from morula.networks.network import FEATURE_STEP_PX, Network


def unet(state: State, name: str, device: str, runtime: Runtime = "openvino", whole_px: int = 0) -> Network:
    """The network of a state that was checked: by torch on an accelerator, else as the operator wants it.

    `whole_px` is the side of the crops that most images are cut into; 0 where there is none.
    """
    if is_processor(device) and runtime == "openvino":
        from morula.networks import unet_graph
        from morula.networks.openvino_runtime import graph_network
        from morula.networks.unet_shape import UNetConfig

        graph = unet_graph.model(UNetConfig.of(state), state, feature_step=FEATURE_STEP_PX)
        return graph_network(graph, name, whole_px=whole_px)
    from morula.networks.unet_torch import torch_unet

    return torch_unet(state, name, device)
