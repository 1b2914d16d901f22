"""Backbones of torchvision, by its names."""

from __future__ import annotations

import torchvision
from torch import nn

from morula.common.errors import InvalidArgument
from morula.networks.definitions import Definition

_HEADS = ("fc", "classifier", "heads", "head")


def definition(name: str) -> Definition:
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise InvalidArgument(f"torchvision {torchvision.__version__} has no network {name!r}", backbone=name)
    network = torchvision.models.get_model(name, weights=None)
    whole = set(network.state_dict())
    _leave_head(name, network)
    # How pictures are shown to its released weights; nothing is fetched.
    shown = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    side = shown.crop_size[0]
    head = frozenset(whole - set(network.state_dict()))
    return Definition(name, network, head, tuple(shown.mean), tuple(shown.std), side)


def _leave_head(name: str, network: nn.Module) -> None:
    """The last linear layer of what is called a head says nothing but classes."""
    linear = [
        path
        for path, module in network.named_modules()
        if path.partition(".")[0] in _HEADS and isinstance(module, nn.Linear)
    ]
    if not linear:
        raise InvalidArgument(f"{name} has no linear layer that names classes, which could be left away", backbone=name)
    parent, _, last = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
