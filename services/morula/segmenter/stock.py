"""The stock package's own network and pipeline with random weights: what is compared with and measured against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from cellpose.models import CellposeModel
from numpy.typing import NDArray

from morula.segmenter import cellpose_sam

Evaluate = Callable[[Sequence[NDArray[np.uint8]]], Any]


def randomize(network: Any) -> Any:
    """Random weights with which attention, its bias and every block count; the last layer shows each feature."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        fan = tensor[0].numel() if tensor.ndim > 1 else 1
        tensor.normal_(0, 0.3 if "rel_pos" in name or "pos_embed" in name else min(0.2, fan**-0.5))
        if "norm" in name and name.endswith("weight"):
            tensor.add_(1)
    torch.nn.init.eye_(network.W2.data.view(network.W2.shape[0], -1))
    return network


def stock_sam(block_count: int, dtype: torch.dtype, device: str = "cpu") -> tuple[Any, Evaluate]:
    """A random Cellpose-SAM network of so many blocks, and the stock loop over images with it."""
    torch.manual_seed(0)
    network = cellpose_sam.published(block_count).to_empty(device=device)
    for tensor in network.state_dict().values():
        torch.nn.init.normal_(tensor, std=0.02)
    network.dtype = dtype
    # Its constructor would download weights.
    stock = CellposeModel.__new__(CellposeModel)
    stock.net, stock.backbone, stock.device, stock.gpu = (
        network.eval(),
        "sam_vitl",
        torch.device(device),
        device != "cpu",
    )
    return network, lambda images: stock.eval(list(images))
