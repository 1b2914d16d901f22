"""Networks of flows as a backend: they see an image crop by crop, and their outputs become objects on their device."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument
from morula.networks.crop_queue import CropQueue
from morula.networks.network import Network, computing_in
from morula.segmenter import crops, metrics
from morula.segmenter.channels import planes
from morula.segmenter.flows import AnyFlows, CropOutputs, Flows, Image, Pixels, resized
from morula.segmenter.instances import Wanted
from morula.segmenter.pooling import CropFeatures

Finish = Callable[[CropOutputs], AnyFlows]
SizeModel = Callable[[Image], float]
"""From a style vector to a diameter in px."""


@dataclass(frozen=True)
class Traits:
    """What a network was made for."""

    crop_px: int
    channels: tuple[str, ...]
    diameter_px: float
    """Size of objects in the images it was trained on."""
    fills_crops: bool = True
    """Whether an image smaller than a crop is padded to a whole one."""
    object_um: float = 0.0
    """Size of objects where a request names none; 0 shows the image as it is."""


class CropBackend:
    """Shows an image to networks crop by crop, at the scale they were trained on; several give their mean."""

    def __init__(
        self,
        networks: Sequence[Network],
        traits: Traits,
        queue: CropQueue,
        size_model: SizeModel | None = None,
        finish: Finish | None = None,
    ) -> None:
        self._networks = networks
        self._traits = traits
        self._queue = queue
        self._size_model = size_model
        self._finish = finish or finish_there

    def infer(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> AnyFlows:
        asked = wanted.flows
        began = time.perf_counter()
        channels = asked.channels or self._traits.channels
        if len(channels) != len(self._traits.channels):
            raise InvalidArgument(f"the network sees {len(self._traits.channels)} channels, not {len(channels)}")
        shown = planes(pixels, channels, wanted.calibration, asked.normalize)
        rescale = self._rescale(wanted.diameter_um or self._traits.object_um, mpp)
        if rescale != 1:
            height, width = (max(1, int(side * rescale)) for side in pixels.shape[:2])
            shown = resized(shown, height, width)
        grid = crops.plan(
            shown.shape[1], shown.shape[2], self._traits.crop_px, augment=asked.augment, whole=self._traits.fills_crops
        )
        parts = crops.cut(shown, grid, mirrored=wanted.is_part)
        metrics.PHASE_SECONDS.labels("prepare").observe(time.perf_counter() - began)
        networks = [computing_in(network, asked.dtype) for network in self._networks]
        answers = [self._queue.run(network, parts, checkpoint, asked.batch, asked.thread_count) for network in networks]
        del parts, shown  # Regions lie beside each other, and each is large.
        maps = [seen.maps for seen in answers]
        style = _unit(answers[0].styles.sum(axis=0))
        # Of several networks, the first one's: features of different ones have nothing to do with each other.
        seen = answers[0].features
        features = None if seen is None else CropFeatures(seen, grid)
        return self._finish(CropOutputs(maps, grid, pixels.shape[0], pixels.shape[1], style, rescale, features))

    def first_diameter_um(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> float:
        if self._size_model is None:
            return 0.0
        seen = self.infer(pixels, mpp, wanted, checkpoint)
        # The style is of the image as it was shown.
        return self._size_model(seen.style) * mpp / seen.rescale

    def _rescale(self, diameter_um: float, mpp: float) -> float:
        return self._traits.diameter_px * mpp / diameter_um if diameter_um else 1.0


def finish_there(outputs: CropOutputs) -> AnyFlows:
    """Flows of the outputs: joined on the GPU where the outputs are there, else on the processor."""
    if isinstance(outputs.maps[0][0], np.ndarray):
        return Flows.of(outputs)
    from morula.segmenter.gpu import GpuFlows

    return GpuFlows(outputs)


def _unit(vector: Image) -> Image:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector[:0]
