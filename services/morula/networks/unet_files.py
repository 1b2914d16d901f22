"""Files of a U-Net: released state dicts and ours, every tensor checked, read without torch where they allow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from morula.common.errors import ModelUnavailable
from morula.networks import unet_graph
from morula.networks.files import COUNTED, DIAMETER, State, check, check_halves, read_state
from morula.networks.unet_shape import UNetConfig

# The first released files do not contain a diameter, and it is the only one of the two that anybody asks.
_OPTIONAL = {DIAMETER: (1,), "diam_labels": (1,)}
_DEFAULT_DIAMETER_PX = 30.0


def read(path: Path) -> State:
    """The network's tensors, every one checked, and its diameter."""
    state = {name: tensor for name, tensor in read_state(path).items() if not name.endswith(COUNTED)}
    try:
        config = UNetConfig.of(state)
    except (KeyError, IndexError) as error:
        raise ModelUnavailable(f"{path.name} is no Cellpose U-Net: it has no {error}") from error
    check(state, {**unet_graph.shapes(config), **_OPTIONAL}, _OPTIONAL)
    return {DIAMETER: np.array([_DEFAULT_DIAMETER_PX], np.float32)} | state


def write(state: State, path: Path) -> None:
    """One file for every runtime."""
    path.write_bytes(written(state))


def written(state: State) -> bytes:
    """The graph in the ONNX format, its weights in half precision."""
    check_halves(state)
    content: bytes = unet_graph.model(UNetConfig.of(state), state, halves=True).SerializeToString(deterministic=True)
    return content
