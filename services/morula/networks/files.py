"""Files of weights: tensors by name and nothing else. Anything else is never unpickled, nothing is guessed."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from morula.common.errors import ModelUnavailable

_PREFIX = "module."  # of networks that were trained on several devices
_SHOWN = 4


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, a safetensors file or a state dict that torch wrote."""
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, safetensors.SafetensorError) as error:
        reason = str(error).partition("\n")[0][:160]
        raise ModelUnavailable(f"{path.name} cannot be read safely as a file of weights: {reason}") from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelUnavailable(f"{path.name} is not a plain file of named tensors")
    return {str(name).removeprefix(_PREFIX): tensor for name, tensor in content.items()}


def load_exactly(network: nn.Module, state: Mapping[str, Tensor], optional: Collection[str] = ()) -> None:
    """Loads a state that has every tensor of the network in its shape, and no other; `optional` ones may be missing."""
    expected = network.state_dict()
    missing = [name for name in expected if name not in state and name not in optional]
    unknown = [name for name in state if name not in expected]
    unequal = [name for name in state if name in expected and state[name].shape != expected[name].shape]
    for what, names in (("lacks", missing), ("has unknown", unknown), ("has in another shape", unequal)):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise ModelUnavailable(f"the file of weights {what} {', '.join(names[:_SHOWN])}{more}")
    broken = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor.float()).all())]
    if broken:
        raise ModelUnavailable(f"the weights {', '.join(broken[:_SHOWN])} are not finite numbers")
    plain = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    network.load_state_dict(plain, strict=False, assign=True)
