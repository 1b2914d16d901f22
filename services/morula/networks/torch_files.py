"""Weights of a file into a network of torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from morula.networks.files import check, read_state


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a file."""
    return {name: torch.from_numpy(array) for name, array in read_state(path).items()}


def load_exactly(network: nn.Module, state: Mapping[str, Tensor], optional: Collection[str] = ()) -> None:
    """Loads a state that has every tensor of the network in its shape, and no other; `optional` ones may be missing."""
    arrays = {name: tensor.numpy(force=True) for name, tensor in state.items()}
    check(arrays, {name: tensor.shape for name, tensor in network.state_dict().items()}, optional)
    network.load_state_dict(dict(state), strict=False, assign=True)
