"""Files of weights: tensors by name and nothing else. Anything else is never unpickled, nothing is guessed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors
import safetensors.numpy
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import external_data_helper, numpy_helper

from morula.common.errors import ModelUnavailable
from morula.networks.installed import imported

State = dict[str, NDArray[Any]]
Shapes = Mapping[str, Sequence[int]]

DIAMETER = "diam_mean"
"""Px of the objects on which a network was trained: of a graph, a word of its metadata; else a tensor."""
CROP_SIDE = "crop_px"
"""Px of the side of the crops on which it was, in the same way."""
COUNTED = ".num_batches_tracked"
"""How the names end of what is counted in training and used by nobody."""
_PREFIX = "module."  # of networks that were trained on several devices
_SHOWN = 4
_VARIANCE = "running_var"
_NAME = 80  # of a name that the file made up
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    DecodeError,
    AttributeError,  # of numbers that NumPy does not know
    safetensors.SafetensorError,
)


def read_state(path: Path) -> State:
    """Tensors of a file: a graph in the ONNX format, a safetensors file, or a state dict that torch wrote."""
    try:
        content = _READERS.get(path.suffix, _read_torch)(path)
        return {name.removeprefix(_PREFIX): _single(tensor) for name, tensor in content.items()}
    except _UNREADABLE as error:
        # torch advises on its own switches, at length.
        reason = "" if isinstance(error, pickle.UnpicklingError) else f": {str(error).partition(chr(10))[0][:160]}"
        raise ModelUnavailable(f"{path.name} cannot be read safely as a file of weights{reason}") from error


def _read_onnx(path: Path) -> State:
    """The weights of a graph, and what it is told beside them; what the graph would compute is not asked."""
    model = onnx.load(path, load_external_data=False)
    if any(external_data_helper.uses_external_data(tensor) for tensor in model.graph.initializer):
        raise ValueError("its tensors lie in other files")
    state = {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
    told = {entry.key: entry.value for entry in model.metadata_props}
    return state | {name: np.array([float(told[name])], np.float32) for name in (DIAMETER, CROP_SIDE) if name in told}


def _read_safetensors(path: Path) -> State:
    return dict(safetensors.numpy.load_file(path))


def _read_torch(path: Path) -> State:
    try:
        torch = imported("torch")
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"{path.name} needs torch, which wrote it; .onnx and .safetensors do not: {error}"
        ) from error
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelUnavailable(f"{path.name} is not a plain file of named tensors")
    # Arrays know no bfloat16.
    return {
        str(name): (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        for name, tensor in content.items()
    }


def _single(tensor: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as they are, all others in single precision, in which weights are read."""
    if tensor.dtype.kind in "cOSU":
        raise TypeError(f"a tensor of {tensor.dtype} holds no real numbers")
    return tensor if tensor.dtype.kind in "iub" else tensor.astype(np.float32, copy=False)


_READERS: dict[str, Callable[[Path], State]] = {".onnx": _read_onnx, ".safetensors": _read_safetensors}


def check(state: State, expected: Shapes, optional: Collection[str] = ()) -> None:
    """Raises unless the state has every expected tensor in its shape, and no other; `optional` ones may be missing."""
    missing = [name for name in expected if name not in state and name not in optional]
    unknown = [name for name in state if name not in expected]
    unequal = [name for name in state if name in expected and state[name].shape != tuple(expected[name])]
    for what, names in (("lacks", missing), ("has unknown", unknown), ("has in another shape", unequal)):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise ModelUnavailable(
                f"the file of weights {what} {', '.join(name[:_NAME] for name in names[:_SHOWN])}{more}"
            )
    broken = [name for name, tensor in state.items() if not bool(np.isfinite(tensor).all())]
    if broken:
        raise ModelUnavailable(f"the weights {', '.join(broken[:_SHOWN])} are not finite numbers")
    below = [name for name, tensor in state.items() if name.endswith(_VARIANCE) and bool((tensor < 0).any())]
    if below:
        raise ModelUnavailable(f"the variances {', '.join(below[:_SHOWN])} are below 0")


def check_halves(state: State) -> None:
    """Raises where half precision cannot hold a weight."""
    with np.errstate(over="ignore"):
        lost = [name for name, tensor in state.items() if not np.isfinite(tensor.astype(np.float16)).all()]
    if lost:
        raise ModelUnavailable(f"the weights {', '.join(lost[:_SHOWN])} are too large for half precision")
