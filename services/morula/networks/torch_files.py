"""Weights of a file into a network of torch."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from morula.networks.files import State, check


def load_exactly(network: nn.Module, state: State, optional: Collection[str] = ()) -> None:
    """Loads a state that has every tensor of the network in its shape, and no other; `optional` ones may be missing."""
    check(state, {name: tensor.shape for name, tensor in network.state_dict().items()}, optional)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False, assign=True)
