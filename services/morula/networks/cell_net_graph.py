"""The network of `cell_net` as a graph in the ONNX format: what runs without torch, and the file that training leaves.

The same network, walked a second time. Crops come as grey levels of 0 to 255, the mask as 0 and 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import onnx
from onnx import TensorProto, helper

from morula.common.errors import ModelUnavailable
from morula.networks.files import CROP_SIDE, DIAMETER, State
from morula.networks.graph_walk import Walk, Weights

CHANNELS = 4
"""Red, green, blue, and which pixels are the cell's."""
INPUT, VECTOR = "pixels", "style"
_LEVELS = np.array(255, np.float32)
_LEAST_AREA = np.array(1e-3, np.float32)


@dataclass(frozen=True)
class CellNetConfig:
    """What the shapes of its tensors follow from."""

    widths: tuple[int, ...]
    dimension_count: int

    @property
    def step_px(self) -> int:
        """Sides of crops are multiples of it."""
        return int(2 ** len(self.widths))

    @classmethod
    def of(cls, state: State) -> CellNetConfig:
        """Of a state dict; KeyError and IndexError where it is of something else."""
        names = (f"stages.{n}.down.weight" for n in range(len(state)))
        widths = tuple(state[name].shape[0] for name in takewhile(state.__contains__, names))
        return cls(widths, state["vector.weight"].shape[0])


def crop_px(state: State) -> int:
    """The side of the crops that it learned from."""
    side = state[CROP_SIDE].item()
    step = CellNetConfig.of(state).step_px
    if side != int(side) or side <= 0 or side % step:
        raise ModelUnavailable(f"its crops have a side of {side:g} px, which is no multiple of {step}")
    return int(side)


def shapes(config: CellNetConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that the graph is made of, by its name in the state dict."""
    return _walked(config).shapes


def model(state: Weights, config: CellNetConfig, *, halves: bool = False) -> onnx.ModelProto:
    """The graph with the weights of a state dict that has all of `shapes`, and what its crops show."""
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", CHANNELS, "height", "width"])
    vector = helper.make_tensor_value_info(VECTOR, TensorProto.FLOAT, ["batch", config.dimension_count])
    made = _walked(config).model("cell-net", [pixels], [vector], state, halves=halves)
    helper.set_model_props(made, {name: repr(float(state[name].item())) for name in (DIAMETER, CROP_SIDE)})
    return made


def _walked(config: CellNetConfig) -> Walk:
    """As `CellNet.forward` does it."""
    walk = Walk()
    crops = x = walk.node("Div", INPUT, walk.constant(_LEVELS))
    inward = CHANNELS
    for n, width in enumerate(config.widths):
        x = _stage(walk, x, f"stages.{n}", inward, width)
        inward = width
    bounds = (walk.constant(np.array([value])) for value in (CHANNELS - 1, CHANNELS, 1))
    side = [config.step_px] * 2
    mask = walk.node("AveragePool", walk.node("Slice", crops, *bounds), kernel_shape=side, strides=side)
    across = walk.constant(np.array([2, 3]))
    area = walk.node("ReduceSum", mask, across, keepdims=0)
    seen = walk.node("ReduceSum", walk.node("Mul", x, mask), across, keepdims=0)
    under = walk.node("Div", seen, walk.node("Max", area, walk.constant(_LEAST_AREA)))
    whole = walk.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    both = walk.node("Concat", whole, under, axis=1)
    walk.linear(both, "vector", 2 * inward, config.dimension_count, to=VECTOR)
    return walk


def _stage(walk: Walk, x: str, name: str, inward: int, outward: int) -> str:
    down = walk.plain(x, f"{name}.down", inward, outward, 3, stride=2)
    x = walk.node("Relu", walk.norm(down, f"{name}.norms.0", outward))
    y = walk.plain(x, f"{name}.pair.0", outward, outward, 3)
    y = walk.node("Relu", walk.norm(y, f"{name}.norms.1", outward))
    y = walk.norm(walk.plain(y, f"{name}.pair.1", outward, outward, 3), f"{name}.norms.2", outward)
    return walk.node("Relu", walk.node("Add", x, y))
