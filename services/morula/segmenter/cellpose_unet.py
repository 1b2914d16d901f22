"""The residual U-Net of Cellpose 1 to 3 as a backend: released state dicts and ours, one or several, any width."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.networks import unet_files
from morula.networks.crop_queue import CropQueue
from morula.networks.files import DIAMETER, State, read_state
from morula.networks.network import Network
from morula.networks.unet_runtimes import unet
from morula.networks.unet_shape import UNetConfig
from morula.segmenter.crop_backend import CropBackend, SizeModel, Traits
from morula.segmenter.flows import FlowModel

CROP_PX = 224
_SIZE_SHAPES = {"A": 1, "smean": 1, "ymean": 0, "diam_mean": 0}
_LEAST_DIAMETER_PX = 5.0


def read_size_model(path: Path) -> SizeModel:
    """Style -> diameter in px, of a safetensors file with `A`, `smean`, `ymean` and `diam_mean`."""
    state = read_state(path)
    if {name: tensor.squeeze().ndim for name, tensor in state.items()} != _SIZE_SHAPES:
        raise ModelUnavailable(f"{path.name} is no size model: it holds {', '.join(sorted(state))}")
    slope, mean = (state[name].squeeze().astype(np.float64) for name in ("A", "smean"))
    offset = state["ymean"].item() + float(np.log(state["diam_mean"].item()))

    def size(style: NDArray[np.float32]) -> float:
        return max(_LEAST_DIAMETER_PX, float(np.exp(slope @ (style - mean) + offset)))

    return size


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> FlowModel:
    """The registry's row with its files: one network or several, and perhaps a size model."""
    states: list[State] = [unet_files.read(path) for role, path in files if role == "network"]
    sizes = [read_size_model(path) for role, path in files if role == "size"]
    channel_counts = {UNetConfig.of(state).channel_count for state in states}
    if len(channel_counts) != 1:
        raise ModelUnavailable(f"{spec.name}: networks of one ensemble see the same channels")
    traits = Traits(
        crop_px=CROP_PX,
        channels=spec.channels[: channel_counts.pop()],
        diameter_px=states[0][DIAMETER].item(),
        fills_crops=False,
        object_um=spec.object_um,
    )
    networks: list[Network] = [unet(state, spec.name, queue.device, queue.runtime, CROP_PX) for state in states]
    return FlowModel(CropBackend(networks, traits, queue, sizes[0] if sizes else None))
