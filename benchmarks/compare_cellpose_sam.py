"""Cellpose-SAM at its full depth against the published network: the same random weights, one crop, one thread.

`python benchmarks/compare_cellpose_sam.py [BLOCKS]`; 24 blocks take minutes, so this is run once and recorded.
"""

import copy
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from morula.networks.cpsam import fuse
from morula.segmenter.cellpose_sam import published
from morula.segmenter.stock import randomize

CROP_PX = 256
FULL_DEPTH = 24


def timed(name: str, network: Callable[[Tensor], tuple[Tensor, ...]], crops: Tensor) -> Tensor:
    began = time.process_time()
    with torch.inference_mode():
        found = network(crops)[0].float()
    print(f"{name}: {time.process_time() - began:.1f} CPU-s", flush=True)
    return found


def rms(difference: Tensor) -> float:
    return float(difference.pow(2).mean().sqrt())


def main(block_count: int) -> None:
    torch.set_num_threads(1)
    stock = randomize(published(block_count).to_empty(device="cpu").eval())
    parameter_count = sum(parameter.numel() for parameter in stock.parameters())
    print(f"{block_count} blocks, {parameter_count / 1e6:.1f} M parameters")
    crops = torch.randn(1, 3, CROP_PX, CROP_PX, generator=torch.Generator().manual_seed(1))
    exact = timed("float32, published", stock, crops)
    ours = timed("float32, ours", fuse(copy.deepcopy(stock), CROP_PX), crops)
    print(
        f"float32: largest difference {float((ours - exact).abs().max() / exact.abs().max()):.1e} of the largest value"
    )
    half = stock.to(torch.bfloat16)
    theirs = timed("bfloat16, published", half, crops.bfloat16())
    ours = timed("bfloat16, ours", fuse(half, CROP_PX), crops.bfloat16())
    published_error, own_error = (rms(found - exact) / rms(exact) for found in (theirs, ours))
    print(f"bfloat16: error against float32, published {published_error:.4f}, ours {own_error:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else FULL_DEPTH)
