"""What a network of flows is worth, by the way that the product goes: from pixels to objects, from the file itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.evaluator.shape_scores import scores
from morula.evaluator.shapes import Overlap, match, overlap
from morula.segmenter.flows import FlowModel
from morula.segmenter.instances import Calibration, Wanted
from morula.segmenter.params import FlowParams
from morula.training.example import Example
from morula.training.gallery import Gallery
from morula.training.prepared import Prepared, median_diameter

Pixels = NDArray[np.uint8]
Change = Callable[[float, Pixels], Pixels]
Figures = dict[str, dict[str, float]]

SHOWN = ("f1_0.5", "pq", "aji", "ap_0.5", "image_count", "true_count", "predicted_count")
ALL, MACRO = "all", "mean over kinds"
# Nothing is known of the scale of these images, so sizes are in px.
_UNKNOWN = 1.0
_HALF = 0.5
NO_CALIBRATION = Calibration()
_WANTED = Wanted(flows=FlowParams(normalize="image", min_size=10))


def found(
    model: FlowModel, pixels: Pixels, first_px: float, *, is_measured: bool, calibration: Calibration = NO_CALIBRATION
) -> NDArray[np.int32]:
    """Objects of an image of unknown scale: at the size that a look at its style suggests, or that a first pass finds,
    which shows it as if its objects had `first_px`."""
    wanted = replace(_WANTED, calibration=calibration)
    if is_measured:
        size = model.sized(pixels, _UNKNOWN, wanted, go_on).diameter_um
    else:
        size = median_diameter(model(pixels, _UNKNOWN, replace(wanted, diameter_um=first_px)).labels) or first_px
    return model(pixels, _UNKNOWN, replace(wanted, diameter_um=size)).labels


def found_at(model: FlowModel, pixels: Pixels, mpp: float, object_um: float) -> NDArray[np.int32]:
    """Objects of an image of known scale, shown as every image of a slide is."""
    return model(pixels, mpp, replace(_WANTED, diameter_um=object_um)).labels


def score(
    examples: Iterable[Example], find: Callable[[Example], NDArray[np.int32]], gallery: Gallery | None = None
) -> Figures:
    """Scores of all, of each kind, and the mean over kinds; the worst are hung in the gallery."""
    pairs: dict[str, list[Overlap]] = {}
    for example in examples:
        labels = find(example)
        pair = overlap(example.labels, labels)
        pairs.setdefault(example.kind, []).append(pair)
        if gallery is not None:
            gallery.add(example, labels, match(pair, _HALF).f1)
    by_kind = {kind: _shown(images) for kind, images in sorted(pairs.items())}
    everything = _shown([pair for images in pairs.values() for pair in images])
    means = {
        name: float(np.mean([one[name] for one in by_kind.values()])) for name in ("f1_0.5", "pq", "aji", "ap_0.5")
    }
    return {ALL: everything, MACRO: means, **by_kind}


def _shown(pairs: Sequence[Overlap]) -> dict[str, float]:
    scored = scores(pairs)
    return {name: round(float(scored[name]), 4) for name in SHOWN}


def _same(pixels: Pixels) -> Pixels:
    return pixels


def blurred(sigma_px: float, pixels: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), np.uint8) if sigma_px else pixels


def noisy(spread: float, pixels: Pixels) -> Pixels:
    grain = np.random.default_rng(0).normal(0, spread, pixels.shape)
    return np.asarray(np.clip(pixels + grain, 0, 255), np.uint8)


def restained(strength: float, pixels: Pixels) -> Pixels:
    """Haematoxylin and eosin drift apart: red is as often stronger as blue is weaker."""
    density = -np.log10((pixels.astype(np.float32) + 1) / 256)
    density *= np.array([1 - strength, 1.0, 1 + strength], np.float32)
    return np.asarray(np.clip(256 * 10**-density - 1, 0, 255), np.uint8)


CURVES: dict[str, tuple[Change, tuple[float, ...]]] = {
    "blur, sigma in px": (blurred, (0.0, 0.7, 1.4, 2.1)),
    "noise, of 255": (noisy, (0.0, 10.0, 20.0, 40.0)),
    "stain, density of red less and of blue more": (restained, (-0.3, -0.15, 0.0, 0.15, 0.3)),
}
SCALES = (0.6, 0.8, 1.0, 1.25, 1.6)


def robustness(model: FlowModel, examples: Sequence[Prepared], diameter_px: float) -> dict[str, list[list[float]]]:
    """F1 at an IoU of a half as images get worse, or are shown at a wrong scale; objects have `diameter_px`."""
    if not examples:
        return {}
    wanted = replace(_WANTED, diameter_um=diameter_px)
    curves = {
        name: [[value, _f1(model, examples, partial(change, value), wanted)] for value in values]
        for name, (change, values) in CURVES.items()
    }
    curves["scale at which objects are shown"] = [
        [scale, _f1(model, examples, _same, replace(wanted, diameter_um=diameter_px / scale))] for scale in SCALES
    ]
    return curves


def _f1(model: FlowModel, examples: Sequence[Prepared], change: Callable[[Pixels], Pixels], wanted: Wanted) -> float:
    pairs = [
        overlap(one.inside(one.labels), model(change(one.inside(one.pixels)), _UNKNOWN, wanted).labels)
        for one in examples
    ]
    return round(float(scores(pairs)["f1_0.5"]), 4)
