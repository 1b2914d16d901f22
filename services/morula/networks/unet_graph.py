"""The U-Net of `unet` as a graph in the ONNX format: what runs without torch, and what is handed to others.

The same network, walked a second time: every tensor by its name in the state dict, every node in the order in which
`UNet.forward` computes. The file of a graph holds weights in half precision, which are read as they are; who computes
makes single precision of them first.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from morula.networks.files import DIAMETER
from morula.networks.graph_walk import Walk, Weights
from morula.networks.unet_shape import UNetConfig

INPUT, OUTPUTS = "pixels", ("maps", "style", "features")
_PICTURE = ("batch", "height", "width")


class _Walk(Walk):
    """Blocks of the U-Net."""

    def convolution(self, x: str, name: str, inward: int, outward: int, size: int = 3, to: str = "") -> str:
        seen = self.node("Relu", self.norm(x, f"{name}.0", inward))
        return self.plain(seen, f"{name}.2", inward, outward, size, to)

    def projection(self, x: str, name: str, inward: int, outward: int) -> str:
        return self.plain(self.norm(x, f"{name}.0", inward), f"{name}.1", inward, outward, 1)

    def twice(self, x: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self.node("Resize", x, "", scales, **how)

    def down(self, x: str, name: str, inward: int, outward: int) -> str:
        first = self.convolution(x, f"{name}.conv.conv_0", inward, outward)
        first = self.convolution(first, f"{name}.conv.conv_1", outward, outward)
        x = self.node("Add", self.projection(x, f"{name}.proj", inward, outward), first)
        second = self.convolution(x, f"{name}.conv.conv_2", outward, outward)
        return self.node("Add", x, self.convolution(second, f"{name}.conv.conv_3", outward, outward))

    def styled(self, x: str, style: str, name: str, width: int, style_width: int) -> str:
        across = self.constant(np.array([2, 3]))
        added = self.node("Unsqueeze", self.linear(style, f"{name}.full", style_width, width), across)
        return self.convolution(self.node("Add", x, added), f"{name}.conv", width, width)

    def up(self, x: str, skip: str, style: str, name: str, inward: int, outward: int, style_width: int) -> str:
        first = self.node("Add", self.convolution(x, f"{name}.conv.conv_0", inward, outward), skip)
        first = self.styled(first, style, f"{name}.conv.conv_1", outward, style_width)
        x = self.node("Add", self.projection(x, f"{name}.proj", inward, outward), first)
        second = self.styled(x, style, f"{name}.conv.conv_2", outward, style_width)
        return self.node("Add", x, self.styled(second, style, f"{name}.conv.conv_3", outward, style_width))


def _walked(config: UNetConfig, feature_step: int = 1) -> _Walk:
    """As `UNet.forward` does it; features are the mean of squares of so many px."""
    walk, widths, skips = _Walk(), config.widths, []
    x, inward = INPUT, config.channel_count
    for n, width in enumerate(widths):
        x = walk.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]) if n else x
        x = walk.down(x, f"downsample.down.res_down_{n}", inward, width)
        skips.append(x)
        inward = width
    mean = walk.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    style = walk.node("Div", mean, walk.node("ReduceL2", mean, axes=[1], keepdims=1), to=OUTPUTS[1])
    for n in reversed(range(len(widths))):
        if n < len(widths) - 1:
            x = walk.twice(x)
        x = walk.up(x, skips[n], style, f"upsample.up.res_up_{n}", inward, widths[n], widths[-1])
        inward = widths[n]
    walk.convolution(x, "output", inward, config.output_count, 1, to=OUTPUTS[0])
    side = [feature_step] * 2
    walk.node("AveragePool", x, to=OUTPUTS[2], kernel_shape=side, strides=side)
    return walk


def shapes(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that the graph is made of, by its name in the state dict."""
    return _walked(config).shapes


def model(config: UNetConfig, state: Weights, *, feature_step: int = 1, halves: bool = False) -> onnx.ModelProto:
    """The graph with the weights of a state dict that has all of `shapes`."""
    channels = (config.channel_count, config.output_count, config.widths[-1], config.widths[0])
    made = _walked(config, feature_step).model("unet", *_ends(*channels), state, halves=halves)
    if DIAMETER in state:
        helper.set_model_props(made, {DIAMETER: repr(float(state[DIAMETER].item()))})
    return made


def _ends(
    inward: int, outward: int, style_width: int, feature_count: int
) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Input and outputs with their shapes."""
    batch, height, width = _PICTURE
    of_outputs: list[tuple[str, list[str | int | None]]] = [
        (OUTPUTS[0], [batch, outward, height, width]),
        (OUTPUTS[1], [batch, style_width]),
        (OUTPUTS[2], [batch, feature_count, "feature_height", "feature_width"]),
    ]
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [batch, inward, height, width])
    return [pixels], [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in of_outputs]
