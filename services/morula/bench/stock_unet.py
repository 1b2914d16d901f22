"""Cellpose 3 on one image: a program of its own, for the environment of `make oracles`, in which there is no Morula.

`python stock_unet.py WORK.npz DIAMETER_PX ROUNDS`: the file holds the pixels and a U-Net's tensors by name; printed are
CPU seconds of one thread, from pixels to masks, of the fastest round, and how many cells were found.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from cellpose.models import CellposeModel


def main(work: str, diameter_px: float, rounds: int) -> None:
    torch.set_num_threads(1)
    with np.load(work) as stored:
        pixels = stored["pixels"]
        state = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "pixels"}
    channel_count = state["downsample.down.res_down_0.conv.conv_0.2.weight"].shape[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network"
        torch.save(state, path)
        model = CellposeModel(gpu=False, pretrained_model=str(path), nchan=channel_count)
    channels = [0, 0] if channel_count < pixels.shape[2] else None
    best, found = float("inf"), 0
    for _ in range(rounds):
        began = time.process_time()
        masks, *_ = model.eval(pixels, channels=channels, diameter=diameter_px)
        best, found = min(best, time.process_time() - began), int(masks.max())
    print(json.dumps({"cpu_s": best, "cells": found}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
