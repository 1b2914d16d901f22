"""Backbones that describe a picture by one vector: networks for photographs, without the layer that names classes.

Each is walked once, by the names of torchvision's files; timm's of ResNet-50 has the same. A picture comes as its
grey levels, 0 to 255: to normalise it is the graph's first step. The vector is the mean of the last features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from morula.networks.files import COUNTED, State, check, read_state
from morula.networks.graph_walk import Walk

INPUT, VECTOR = "pixels", "style"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the photographs that such networks are trained on, of 0 to 1."""
_LEVELS = 255


class BackboneWalk(Walk):
    """Blocks of backbones: convolutions without a bias, each with its norm."""

    def convolved(
        self, x: str, name: str, norm: str, inward: int, outward: int, size: int, stride: int = 1, groups: int = 1
    ) -> str:
        weight = self.tensor(f"{name}.weight", outward, inward // groups, size, size)
        shape, strides, pads = [size] * 2, [stride] * 2, [size // 2] * 4
        conv = self.node("Conv", x, weight, group=groups, kernel_shape=shape, strides=strides, pads=pads)
        return self.norm(conv, norm, outward)

    def relu6(self, x: str) -> str:
        return self.node("Clip", x, *(self.constant(np.array(bound, np.float32)) for bound in (0, 6)))


@dataclass(frozen=True)
class Backbone:
    """What is known of a backbone beside its weights."""

    dimension_count: int
    walk: Callable[[BackboneWalk, str], str]
    """From normalised pictures to the last features."""
    head: str
    """What names of the layer that names classes begin with: it is left away."""


def resnet50(walk: BackboneWalk, x: str) -> str:
    x = walk.node("Relu", walk.convolved(x, "conv1", "bn1", 3, 64, 7, 2))
    x = walk.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    inward = 64
    for layer, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(count):
            x = _bottleneck(walk, x, f"layer{layer}.{block}", inward, width, 2 if layer > 1 and block == 0 else 1)
            inward = 4 * width
    return x


def _bottleneck(walk: BackboneWalk, x: str, name: str, inward: int, width: int, stride: int) -> str:
    y = walk.node("Relu", walk.convolved(x, f"{name}.conv1", f"{name}.bn1", inward, width, 1))
    y = walk.node("Relu", walk.convolved(y, f"{name}.conv2", f"{name}.bn2", width, width, 3, stride))
    y = walk.convolved(y, f"{name}.conv3", f"{name}.bn3", width, 4 * width, 1)
    if inward != 4 * width:
        x = walk.convolved(x, f"{name}.downsample.0", f"{name}.downsample.1", inward, 4 * width, 1, stride)
    return walk.node("Relu", walk.node("Add", x, y))


def mobilenet_v2(walk: BackboneWalk, x: str) -> str:
    x = walk.relu6(walk.convolved(x, "features.0.0", "features.0.1", 3, 32, 3, 2))
    inward, number = 32, 0
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for wider, outward, count, stride in rows:
        for block in range(count):
            number += 1
            x = _inverted(walk, x, f"features.{number}.conv", inward, outward, wider, 1 if block else stride)
            inward = outward
    return walk.relu6(walk.convolved(x, "features.18.0", "features.18.1", inward, 1280, 1))


def _inverted(walk: BackboneWalk, x: str, name: str, inward: int, outward: int, wider: int, stride: int) -> str:
    width, y, place = inward * wider, x, 0
    if wider > 1:
        y, place = walk.relu6(walk.convolved(y, f"{name}.0.0", f"{name}.0.1", inward, width, 1)), 1
    y = walk.relu6(walk.convolved(y, f"{name}.{place}.0", f"{name}.{place}.1", width, width, 3, stride, width))
    y = walk.convolved(y, f"{name}.{place + 1}", f"{name}.{place + 2}", width, outward, 1)
    return walk.node("Add", x, y) if stride == 1 and inward == outward else y


BACKBONES: Mapping[str, Backbone] = {
    "resnet50": Backbone(2048, resnet50, "fc."),
    "mobilenet_v2": Backbone(1280, mobilenet_v2, "classifier."),
}


def read(name: str, path: Path) -> State:
    """A backbone's tensors, every one checked, without its head."""
    head = BACKBONES[name].head
    state = {
        tensor: values
        for tensor, values in read_state(path).items()
        if not (tensor.startswith(head) or tensor.endswith(COUNTED))
    }
    check(state, shapes(name))
    return state


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Every tensor that a backbone is made of, by its name in the file."""
    return _walked(name).shapes


def model(name: str, state: State) -> onnx.ModelProto:
    """The graph with the weights of a state that has all of `shapes`."""
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, "height", "width"])
    vector = helper.make_tensor_value_info(VECTOR, TensorProto.FLOAT, ["batch", BACKBONES[name].dimension_count])
    return _walked(name).model(name, [pixels], [vector], state)


def _walked(name: str) -> BackboneWalk:
    walk = BackboneWalk()
    mean, std = (walk.constant(_LEVELS * np.array(each, np.float32).reshape(1, 3, 1, 1)) for each in (MEAN, STD))
    x = walk.node("Div", walk.node("Sub", INPUT, mean), std)
    walk.node("ReduceMean", BACKBONES[name].walk(walk, x), to=VECTOR, axes=[2, 3], keepdims=0)
    return walk
