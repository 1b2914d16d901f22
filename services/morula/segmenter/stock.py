"""The stock package's own pipeline with random weights: what benches measure against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from cellpose.models import CellposeModel
from numpy.typing import NDArray

from morula.segmenter import cellpose_sam

Evaluate = Callable[[Sequence[NDArray[np.uint8]]], Any]


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
