"""Backbones of timm, by its names; what follows a dot says for which weights, and with it how pictures are shown."""

from __future__ import annotations

from typing import Any

import timm

from morula.common.errors import InvalidArgument
from morula.networks.definitions import CHANNELS, Definition


def definition(name: str) -> Definition:
    if not timm.is_model(name):  # A name may also be an address: nothing is fetched.
        alike = timm.list_models(f"*{name.partition('.')[0][:12]}*")[:5]
        more = f"; some are: {', '.join(alike)}" if alike else ""
        raise InvalidArgument(f"timm {timm.__version__} has no network {name!r}{more}", backbone=name)
    try:
        network: Any = timm.create_model(name, pretrained=False)
    except RuntimeError as error:  # The part after the dot is of no weights that timm knows.
        raise InvalidArgument(f"timm {timm.__version__} has no network {name!r}: {error}", backbone=name) from error
    whole = set(network.state_dict())
    network.reset_classifier(0)
    shown = network.pretrained_cfg
    channels, height, width = shown["input_size"]
    if channels != CHANNELS or height != width:
        raise InvalidArgument(f"{name} looks at {channels} x {height} x {width}, not at square pictures in colour")
    head = frozenset(whole - set(network.state_dict()))
    return Definition(name, network, head, tuple(shown["mean"]), tuple(shown["std"]), height)
