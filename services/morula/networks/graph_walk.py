"""Networks as graphs in the ONNX format, without torch: nodes as they come, tensors by their names in the file.

A graph's file may hold weights in half precision, which are read as they are; who computes makes single precision of
them first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17

Weights = Mapping[str, NDArray[np.float32]]


class Walk:
    """Nodes as they come, and shapes of the tensors that they need."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def tensor(self, name: str, *shape: int) -> str:
        self.shapes[name] = shape
        return name

    def node(self, kind: str, *inputs: str, to: str = "", **attributes: object) -> str:
        output = to or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))  # type: ignore[arg-type]
        return output

    def constant(self, values: NDArray[Any]) -> str:
        return self.node("Constant", value=numpy_helper.from_array(values))

    def norm(self, x: str, name: str, channels: int) -> str:
        numbers = [self.tensor(f"{name}.{of}", channels) for of in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", x, *numbers, epsilon=1e-5)

    def linear(self, x: str, name: str, inward: int, outward: int, to: str = "") -> str:
        weight, bias = self.tensor(f"{name}.weight", outward, inward), self.tensor(f"{name}.bias", outward)
        return self.node("Gemm", x, weight, bias, to=to, transB=1)

    def plain(self, x: str, name: str, inward: int, outward: int, size: int, to: str = "", stride: int = 1) -> str:
        weight = self.tensor(f"{name}.weight", outward, inward, size, size)
        bias = self.tensor(f"{name}.bias", outward)
        sides = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4}
        strides = {"strides": [stride] * 2} if stride > 1 else {}
        return self.node("Conv", x, weight, bias, to=to, **sides, **strides)

    def model(
        self,
        name: str,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        state: Weights,
        *,
        halves: bool = False,
    ) -> onnx.ModelProto:
        """The graph with the weights of a state that has all of `shapes`."""
        stored = [_stored(name, state[name], halves) for name in self.shapes]
        casts = [node for _, cast in stored for node in cast]
        if halves:
            renamed = {name: f"{name}_single" for name in self.shapes}
            for node in self.nodes:
                node.input[:] = [renamed.get(name, name) for name in node.input]
        weights = [tensor for tensor, _ in stored]
        graph = helper.make_graph([*casts, *self.nodes], name, inputs, outputs, initializer=weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def _stored(name: str, values: NDArray[np.float32], halves: bool) -> tuple[TensorProto, Sequence[onnx.NodeProto]]:
    """A tensor, and what makes single precision of it."""
    if not halves:
        return numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name), ()
    cast = helper.make_node("Cast", [name], [f"{name}_single"], to=TensorProto.FLOAT)
    return numpy_helper.from_array(np.ascontiguousarray(values, np.float16), name), (cast,)
