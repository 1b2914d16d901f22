"""Files of the network that describes single cells: every tensor checked, and what its crops show."""

from __future__ import annotations

from pathlib import Path

from morula.common.errors import ModelUnavailable
from morula.networks import cell_net_graph
from morula.networks.cell_net_graph import CellNetConfig
from morula.networks.files import COUNTED, CROP_SIDE, DIAMETER, State, check, check_halves, read_state

_TOLD = {DIAMETER: (1,), CROP_SIDE: (1,)}


def read(path: Path) -> State:
    """The network's tensors, every one checked, with the side of its crops and the diameter of cells in them, in px."""
    state = {name: tensor for name, tensor in read_state(path).items() if not name.endswith(COUNTED)}
    try:
        config = CellNetConfig.of(state)
    except (KeyError, IndexError) as error:
        raise ModelUnavailable(f"{path.name} is no network that describes single cells: it has no {error}") from error
    check(state, {**cell_net_graph.shapes(config), **_TOLD})
    if state[DIAMETER].item() <= 0:
        raise ModelUnavailable(f"{path.name}: cells in its crops have a diameter of {state[DIAMETER].item():g} px")
    cell_net_graph.crop_px(state)
    return state


def written(state: State) -> bytes:
    """The graph in the ONNX format, its weights in half precision."""
    check_halves(state)
    graph = cell_net_graph.model(state, CellNetConfig.of(state), halves=True)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content
