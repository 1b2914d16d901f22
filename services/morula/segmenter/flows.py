"""From pixels to objects by way of flows: a backend says where each pixel is drawn, all that follows is shared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.networks.network import Maps, on_host
from morula.segmenter import crops, metrics
from morula.segmenter.dynamics import DynamicsParams, find_instances
from morula.segmenter.instances import Instances, Wanted
from morula.segmenter.pooling import CropFeatures

Image = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_STEPS = 200


class AnyFlows(Protocol):
    """Flows of an image, on the host or on a device, from which objects are made."""

    @property
    def style(self) -> Image:
        """What kind of image it is, a unit vector; empty where the network has none."""
        ...

    @property
    def rescale(self) -> float:
        """How much larger the image was shown than it is."""
        ...

    @property
    def features(self) -> CropFeatures | None:
        """What the network saw; None where it does not tell."""
        ...

    def instances(self, params: DynamicsParams) -> Instances: ...


@dataclass(frozen=True)
class CropOutputs:
    """Network outputs for an image's crops, on the device that made them."""

    maps: Sequence[Sequence[Maps]]
    """By network, by crop: (channels, height, width); the last three are flow and probability."""
    grid: crops.CropGrid
    height: int
    width: int
    """Sides of the image itself, which may have been shown at another scale."""
    style: Image
    rescale: float
    features: CropFeatures | None = None


@dataclass(frozen=True)
class Flows:
    """Where each pixel is drawn, and how surely it belongs to an object, on the host."""

    flow: Image
    """(2, height, width): dy and dx, times 5."""
    probability: Image
    """(height, width): a logit."""
    style: Image
    rescale: float = 1.0
    features: CropFeatures | None = None

    @classmethod
    def of(cls, outputs: CropOutputs) -> Flows:
        """One image of all crops, at the image's own scale."""
        of_networks = zip(*outputs.maps, strict=True)
        means = (np.mean([on_host(crop) for crop in same], axis=0) for same in of_networks)
        blended = crops.blend(means, outputs.grid)
        if outputs.rescale != 1:
            blended = resized(blended, outputs.height, outputs.width)
        return cls(blended[-3:-1], blended[-1], outputs.style, outputs.rescale, outputs.features)

    def instances(self, params: DynamicsParams) -> Instances:
        """Objects, each with its mean probability as score."""
        labels = find_instances(self.flow, self.probability, params)
        return Instances(labels, mean_scores(labels, self.probability))


class Backend(Protocol):
    """All that a network of flows has to offer."""

    def infer(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> AnyFlows: ...

    def first_diameter_um(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> float:
        """Size of objects by the style of their image; 0 where there is no model of it."""
        ...


class FlowModel:
    """A model of objects, made of a backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __call__(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint = go_on, /) -> Instances:
        flows = self._backend.infer(pixels, mpp, wanted, checkpoint)
        checkpoint()
        began = time.perf_counter()
        instances = flows.instances(dynamics_params(flows.rescale, mpp, wanted))
        if flows.features:
            features = flows.features.under(instances.labels, instances.scores.size)
            instances = replace(instances, features=features, style=flows.style)
        metrics.PHASE_SECONDS.labels("instances").observe(time.perf_counter() - began)
        metrics.CELLS.inc(instances.scores.size)
        return instances

    def style(self, pixels: Pixels, mpp: float, wanted: Wanted) -> Image:
        """What kind of image it is, of which a size model tells the size of its objects."""
        return self._backend.infer(pixels, mpp, wanted, go_on).style

    def features_under(
        self, pixels: Pixels, mpp: float, wanted: Wanted, labels: NDArray[np.int32]
    ) -> NDArray[np.float16] | None:
        """What it sees under masks that others drew, where it tells."""
        seen = self._backend.infer(pixels, mpp, wanted, go_on).features
        return None if seen is None else seen.under(labels, int(labels.max(initial=0)))

    def sized(self, pixels: Pixels, mpp: float, wanted: Wanted, checkpoint: Checkpoint, /) -> Wanted:
        """`wanted` with the size that a first look suggests."""
        if wanted.diameter_um:
            return wanted
        return replace(wanted, diameter_um=self._backend.first_diameter_um(pixels, mpp, wanted, checkpoint))


def dynamics_params(rescale: float, mpp: float, wanted: Wanted) -> DynamicsParams:
    """What is asked of objects in an image that was shown `rescale` times as large."""
    asked = wanted.flows
    return DynamicsParams(
        cellprob_threshold=asked.cellprob_threshold,
        flow_threshold=asked.flow_threshold,
        niter=asked.niter or int(_STEPS / rescale),
        min_size=ceil(wanted.min_area_um2 / mpp**2) if wanted.min_area_um2 else asked.min_size,
        max_size_fraction=asked.max_size_fraction,
    )


def mean_scores(labels: NDArray[np.int32], logits: Image) -> Image:
    """Mean probability of each object's pixels, in label order."""
    inside = np.flatnonzero(labels)
    numbers, probability = labels.ravel()[inside], 1 / (1 + np.exp(-logits.ravel()[inside].astype(np.float64)))
    scores = np.bincount(numbers, probability)[1:] / np.maximum(np.bincount(numbers)[1:], 1)
    return scores.astype(np.float32)


def resized(image: Image, height: int, width: int) -> Image:
    """Channels (n, height, width) at another size."""
    return np.stack([cv2.resize(channel, (width, height), interpolation=cv2.INTER_LINEAR) for channel in image])
