"""ResNet-50 as the published system runs it: a program of its own, because only it needs torch.

`python -m morula.bench.stock_resnet50 WORK.npz ROUNDS`: the file holds pixels, the cells' boxes and the network's
tensors by name. Each cell is cropped by Pillow, goes through torchvision's transform and through the network by
itself, in single precision. Printed are CPU seconds of one thread of the fastest round, and what the processor could do
the network in at best, by the dtype: its FLOP at the speed of a large product of matrices. The vectors are written
beside the file.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from morula.segmenter.measured import matmul_flop_per_s

_OTHERS = ("pixels", "boxes")


def main(work: Path, rounds: int) -> None:
    torch.set_num_threads(1)
    with np.load(work) as stored:
        pixels, boxes = (stored[name] for name in _OTHERS)
        state = {name: torch.from_numpy(stored[name]) for name in stored.files if name not in _OTHERS}
    network = torchvision.models.resnet50(weights=None)
    network.fc = torch.nn.Identity()
    network.load_state_dict(state, strict=False)
    network.eval()
    transform = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()
    best, vectors = float("inf"), np.zeros((len(boxes), 2048), np.float32)
    for _ in range(rounds):
        began = time.process_time()
        vectors = _embed(network, transform, Image.fromarray(pixels), boxes)
        best = min(best, time.process_time() - began)
    np.save(work.with_suffix(".npy"), vectors)
    print(json.dumps({"cpu_s": best, "least_cell_s": _least_cell_s()}))  # noqa: T201 - its answer


def _least_cell_s() -> dict[str, float]:
    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        torchvision.models.resnet50(weights=None).eval()(torch.zeros(1, 3, 224, 224))
    flop = counter.get_total_flops()
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    return {name: flop / matmul_flop_per_s("cpu", dtype, time.process_time) for name, dtype in dtypes.items()}


def _embed(
    network: torch.nn.Module,
    transform: torch.nn.Module,
    tile: Image.Image,
    boxes: NDArray[np.int64],
) -> NDArray[np.float32]:
    vectors = []
    with torch.no_grad():
        for left, top, right, bottom in boxes.tolist():
            crop = tile.crop((left, top, right, bottom)).convert("RGB")
            vectors.append(network(transform(crop)[None])[0].numpy())
    return np.stack(vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
