"""Networks by OpenVINO: a graph in the ONNX format on a processor, without torch."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from morula.common.errors import ModelUnavailable
from morula.networks.devices import fast_dtype
from morula.networks.dtypes import Dtype
from morula.networks.network import Answer, Batch, InEachDtype
from morula.networks.silent_openvino import openvino

_KEPT_SHAPES = 4
# Of what is made for the shapes of a graph that takes any: a few shapes' worth, else it grows with each new one.
_KEPT_KERNELS = 300
_PRECISIONS: dict[Dtype, str] = {"float32": "f32", "bfloat16": "bf16"}


class GraphNetwork:
    """A graph in one dtype, compiled for each shape and number of threads that comes.

    With `whole_px` it is compiled for crops of that side, into which slides are cut, and once for all others:
    plain images that are smaller than a crop have each its own shape, and to compile takes longer than to look at one.
    Which of the two answers depends on the shape alone.

    Its outputs are called as what they are of an answer; a graph that says nothing of each pixel has a style alone.
    """

    def __init__(self, graph: openvino.Model, name: str, dtype: Dtype, whole_px: int = 0) -> None:
        self.name = name
        self._whole_px = whole_px
        self._graph = graph
        self._outputs = [output.any_name for output in graph.outputs]
        self._precision = _PRECISIONS[dtype]
        self._compiled: dict[tuple[object, ...], openvino.InferRequest] = {}

    def __call__(self, batch: Batch) -> Answer:
        request = self._compiled_for(batch)
        request.infer({0: batch.packed()}, share_inputs=True)
        said = {name: request.get_tensor(name).data[: batch.filled] for name in self._outputs}
        # Copied, because the next batch is computed in the same place.
        maps = said["maps"].copy() if "maps" in said else np.empty((batch.filled, 0), np.float32)
        features = said["features"].astype(np.float16) if "features" in said else None
        return Answer(maps, said["style"].copy(), features)

    def _compiled_for(self, batch: Batch) -> openvino.InferRequest:
        shape = self._shape(batch)
        kind = (shape, batch.threads)
        if kind not in self._compiled:
            if len(self._compiled) == _KEPT_SHAPES:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[kind] = self._compile(shape, batch.threads)
        self._compiled[kind] = self._compiled.pop(kind)  # The one used last stands last.
        return self._compiled[kind]

    def _shape(self, batch: Batch) -> tuple[int, ...]:
        """What a graph is compiled for; -1 is any side."""
        count, channels, height, width = batch.shape
        is_whole = not self._whole_px or height == width == self._whole_px
        return batch.shape if is_whole else (count, channels, -1, -1)

    def _compile(self, shape: tuple[int, ...], threads: int) -> openvino.InferRequest:
        graph = self._graph.clone()
        graph.reshape(openvino.PartialShape(list(shape)))
        options = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": threads,
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_KERNELS,
            "NUM_STREAMS": 1,
            # Threads of other work and other services lie on the same processors.
            "ENABLE_CPU_PINNING": False,
        }
        return openvino.Core().compile_model(graph, "CPU", options).create_infer_request()


def graph_network(model: ModelProto, name: str, fastest: Dtype | None = None, whole_px: int = 0) -> InEachDtype:
    """The network of a graph; `fastest` is what this processor computes in, unless it is given."""
    graph = openvino.Core().read_model(model.SerializeToString())
    own = fastest or fast_dtype()

    def make(dtype: Dtype) -> GraphNetwork:
        if dtype == "bfloat16" != own:
            raise ModelUnavailable(
                f"{name}: this processor does not compute in bfloat16; the gateway is told what it can "
                "by MORULA_NETWORK_DTYPE=float32",
                model=name,
            )
        return GraphNetwork(graph, name, dtype, whole_px)

    return InEachDtype(name, own, make)
