"""From pixels to objects by way of flows: a backend says where each pixel is drawn, all that follows is shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint
from morula.segmenter import crops, metrics
from morula.segmenter.channels import planes
from morula.segmenter.dynamics import DynamicsParams, find_instances
from morula.segmenter.engine import CropQueue, Network
from morula.segmenter.instances import Instances, Wanted, unstoppable

Image = NDArray[np.float32]
Pixels = NDArray[np.uint8]
SizeModel = Callable[[Image], float]
"""From a style vector to a diameter in px."""

_STEPS = 200


@dataclass(frozen=True)
class Flows:
    """What a network says of an image: where each pixel is drawn, and how surely it belongs to an object."""

    flow: Image
    """(2, height, width): dy and dx, times 5."""
    probability: Image
    """(height, width): a logit."""
    style: Image
    """What kind of image it is, a unit vector; empty where the network has none."""
    rescale: float = 1.0
    """How much larger the image was shown than it is."""


class Backend(Protocol):
    """All that a network of flows has to offer."""

    def infer(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> Flows: ...

    def first_diameter_um(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> float:
        """Size of objects by the style of their image; 0 where there is no model of it."""
        ...


class FlowModel:
    """A model of objects, made of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(
        self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint = unstoppable, /
    ) -> Instances:
        flows = self._backend.infer(pixels, mpp, wanted, checkpoint)
        checkpoint()
        began = time.perf_counter()
        instances = to_instances(flows, mpp, wanted)
        metrics.PHASE_SECONDS.labels("instances").observe(time.perf_counter() - began)
        metrics.CELLS.inc(instances.scores.size)
        return instances

    def sized(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint, /) -> Wanted:
        """`wanted` with the size that a first look suggests."""
        if wanted.diameter_um:
            return wanted
        return replace(wanted, diameter_um=self._backend.first_diameter_um(pixels, mpp, wanted, checkpoint))


def to_instances(flows: Flows, mpp: float, wanted: Wanted) -> Instances:
    """Objects of flows, each with its mean probability as score."""
    asked = wanted.flows
    params = DynamicsParams(
        cellprob_threshold=asked.cellprob_threshold,
        flow_threshold=asked.flow_threshold,
        niter=asked.niter or int(_STEPS / flows.rescale),
        min_size=ceil(wanted.min_area_um2 / mpp**2) if wanted.min_area_um2 else asked.min_size,
        max_size_fraction=asked.max_size_fraction,
    )
    labels = find_instances(flows.flow, flows.probability, params)
    return Instances(labels, mean_scores(labels, flows.probability))


def mean_scores(labels: NDArray[np.int32], logits: Image) -> Image:
    """Mean probability of each object's pixels, in label order."""
    found = np.flatnonzero(labels)
    numbers, probability = labels.ravel()[found], 1 / (1 + np.exp(-logits.ravel()[found].astype(np.float64)))
    scores = np.bincount(numbers, probability)[1:] / np.maximum(np.bincount(numbers)[1:], 1)
    return scores.astype(np.float32)


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
        self, networks: Sequence[Network], traits: Traits, queue: CropQueue, size_model: SizeModel | None = None
    ) -> None:
        self._networks = networks
        self._traits = traits
        self._queue = queue
        self._size_model = size_model

    def infer(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> Flows:
        asked = wanted.flows
        began = time.perf_counter()
        shown = planes(pixels, asked.channels or self._traits.channels, wanted.calibration, asked.normalize)
        rescale = self._rescale(wanted.diameter_um or self._traits.object_um, mpp)
        if rescale != 1:
            height, width = (max(1, int(side * rescale)) for side in pixels.shape[:2])
            shown = resized(shown, height, width)
        grid = crops.plan(
            shown.shape[1], shown.shape[2], self._traits.crop_px, augment=asked.augment, whole=self._traits.fills_crops
        )
        parts = crops.cut(shown, grid, mirrored=wanted.is_part)
        metrics.PHASE_SECONDS.labels("prepare").observe(time.perf_counter() - began)
        found = [self._queue.run(network, parts, checkpoint, asked.batch) for network in self._networks]
        outputs = np.mean([output for output, _ in found], axis=0) if len(found) > 1 else found[0][0]
        blended = crops.blend(outputs, grid)
        if rescale != 1:
            blended = resized(blended, *pixels.shape[:2])
        # Networks of one's own may say more; the last three are flow and probability.
        return Flows(blended[-3:-1], blended[-1], _unit(found[0][1].sum(axis=0)), rescale)

    def first_diameter_um(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> float:
        if self._size_model is None:
            return 0.0
        return self._size_model(self.infer(pixels, mpp, wanted, checkpoint).style) * mpp

    def _rescale(self, diameter_um: float, mpp: float) -> float:
        return self._traits.diameter_px * mpp / diameter_um if diameter_um else 1.0


def resized(image: Image, height: int, width: int) -> Image:
    """Channels (n, height, width) at another size."""
    last = np.ascontiguousarray(np.moveaxis(image, 0, -1))
    other = cv2.resize(last, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.moveaxis(other.reshape(height, width, -1), -1, 0))


def _unit(vector: Image) -> Image:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector[:0]
