"""Cellpose-SAM as a backend: the published network with fused attention, its released files, nothing downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from cellpose.vit import CPSAM
from torch import nn

from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.networks.cpsam import fuse
from morula.networks.crop_queue import CropQueue
from morula.networks.dtypes import Dtype
from morula.networks.network import InEachDtype
from morula.networks.torch_files import load_exactly, read_tensors
from morula.networks.torch_runtime import TORCH_DTYPES, TorchNetwork, fast_dtype, fastest
from morula.segmenter.crop_backend import CropBackend, Traits
from morula.segmenter.flows import FlowModel

CROP_PX = 256
_BLOCK = "encoder.blocks.{}.norm1.weight"
_DIAMETER_PX = 30.0


def sam_network(
    network: nn.Module, name: str, device: str | torch.device, dtype: torch.dtype | None = None
) -> TorchNetwork:
    """The network on a device, in one dtype."""
    wanted = dtype or fast_dtype(device)
    return TorchNetwork(fuse(network.to(device=device, dtype=wanted), CROP_PX), name, device, wanted)


def sam_file(path: Path, name: str, device: str | torch.device) -> InEachDtype:
    """The network of a file, which is checked at once."""
    # The network loaded for checking is used first, and rounded in place: other dtypes load it anew.
    checked = [read_network(path)]

    def make(dtype: Dtype) -> TorchNetwork:
        network = checked.pop() if checked else read_network(path)
        return sam_network(network, name, device, TORCH_DTYPES[dtype])

    return InEachDtype(name, fastest(device), make)


def published(block_count: int, output_count: int = 3) -> Any:
    """The published network with so many of its blocks; its weights take no memory before they are loaded."""
    with torch.device("meta"):
        network = CPSAM(nout=output_count)
    network.encoder.blocks = network.encoder.blocks[:block_count]
    return network


def read_network(path: Path) -> Any:
    """The network of a file, every tensor checked."""
    state = read_tensors(path)
    block_count = 0
    while _BLOCK.format(block_count) in state:
        block_count += 1
    if not block_count or "W2" not in state:
        raise ModelUnavailable(f"{path.name} is no Cellpose-SAM network")
    network = published(block_count, state["W2"].shape[1])
    load_exactly(network, state)
    return network


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> FlowModel:
    """The registry's row with its file."""
    (path,) = (path for role, path in files if role == "network")
    network = sam_file(path, spec.name, queue.device)
    # It was trained on all sizes, so an image is shown as it is unless a request names a diameter.
    return FlowModel(CropBackend([network], Traits(CROP_PX, spec.channels, _DIAMETER_PX), queue))
