"""The shape of a U-Net, read off the tensors of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a network; `widths` are the channels of each level, the first the finest."""

    channel_count: int = 2
    widths: tuple[int, ...] = (32, 64, 128, 256)
    output_count: int = 3

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> UNetConfig:
        """Reads the shape off a state dict; KeyError where it is none of this network."""
        first = "downsample.down.res_down_{}.conv.conv_0.2.weight"
        widths: list[int] = []
        while first.format(len(widths)) in state:
            widths.append(int(state[first.format(len(widths))].shape[0]))
        return cls(int(state[first.format(0)].shape[1]), tuple(widths), int(state["output.2.weight"].shape[0]))
