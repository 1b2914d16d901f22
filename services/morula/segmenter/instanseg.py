"""InstanSeg as a backend: an operator's TorchScript file, which goes from pixels to labels by itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.networks.crop_queue import CropQueue
from morula.networks.network import computing_in, on_host
from morula.networks.torch_runtime import TorchNetwork
from morula.segmenter.channels import planes
from morula.segmenter.flows import resized
from morula.segmenter.instances import Instances, Wanted

_STEP_PX = 32


class InstanSeg:
    """Shows the whole image at the scale that the file was made for; its labels are the instances."""

    def __init__(self, script: torch.jit.ScriptModule, spec: ModelSpec, queue: CropQueue) -> None:
        # A whole image is one crop to it, and it has no style.
        self._network = TorchNetwork(
            lambda crops: (script(crops), crops.new_empty((len(crops), 0))), spec.name, queue.device
        )
        self._spec = spec
        self._queue = queue

    def __call__(
        self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint = go_on, /
    ) -> Instances:
        asked = wanted.flows
        shown = planes(pixels, asked.channels or self._spec.channels, wanted.calibration, asked.normalize)
        scale = mpp / self._spec.mpp
        height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
        shown = resized(shown, height, width) if scale != 1 else shown
        fill = [(0, 0), (0, -height % _STEP_PX), (0, -width % _STEP_PX)]
        network = computing_in(self._network, asked.dtype)
        padded = np.pad(shown, fill, mode="edge")[None]
        seen = self._queue.run(network, padded, checkpoint, batch=1, threads=asked.thread_count)
        numbers = np.rint(on_host(seen.maps[0])[0, :height, :width]).astype(np.int32)
        return _instances(numbers, pixels.shape[:2], wanted, mpp)


def _instances(numbers: NDArray[np.int32], shape: tuple[int, ...], wanted: Wanted, mpp: float) -> Instances:
    """Labels at the image's own scale, 1..n, without small ones; nothing is said of certainty, so scores are 1."""
    rows, columns = (np.arange(side) * count // side for side, count in zip(shape, numbers.shape, strict=True))
    labels = numbers[rows[:, None], columns]
    least = max(1.0, wanted.min_area_um2 / mpp**2 if wanted.min_area_um2 else wanted.flows.min_size)
    areas = np.bincount(labels.ravel())
    kept = np.flatnonzero(areas >= least)
    kept = kept[kept > 0]
    number = np.zeros(areas.size, np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    return Instances(number[labels], np.ones(kept.size, np.float32))


def read_script(path: Path) -> torch.jit.ScriptModule:
    """TorchScript is code of a language without files or network; it is still the operator's to trust."""
    try:
        # The format is deprecated, but it is the one that these files have.
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            script: torch.jit.ScriptModule = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ModelUnavailable(
            f"{path.name} is no TorchScript file: {str(error).partition(chr(10))[0][:160]}"
        ) from error
    return script.eval()


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> InstanSeg:
    """The registry's row with its file."""
    (path,) = (path for role, path in files if role == "network")
    return InstanSeg(read_script(path).to(queue.device), spec, queue)
