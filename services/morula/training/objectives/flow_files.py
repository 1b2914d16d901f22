"""What becomes of a trained network of flows: files that the segmenter reads, its size model, its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from morula.common.models import families
from morula.networks import unet_files
from morula.networks.crop_queue import CropQueue
from morula.networks.devices import best_device, runtime_there
from morula.networks.files import State
from morula.segmenter import cellpose_unet
from morula.segmenter.flows import FlowModel
from morula.segmenter.instances import Wanted
from morula.training import checkpoint, size_model
from morula.training.config import Config
from morula.training.engine import BEST
from morula.training.evaluate import Figures, found, found_at, robustness, score
from morula.training.example import Example
from morula.training.gallery import Gallery
from morula.training.objectives import Finished, Sets
from morula.training.prepared import Prepared

FAMILY = "cellpose-unet"
CHANNELS = ("red", "green", "blue")
_SIZE_IMAGES, _ROBUSTNESS_IMAGES = 300, 16
Find = Callable[[Example], NDArray[np.int32]]


def write_and_measure(
    config: Config, diameter_px: float, sets: Sets, tested: Sequence[Example], folder: Path
) -> Finished:
    """Files in half precision; all figures are of these files, by the way that the product goes."""
    state = safetensors.numpy.load((folder / BEST).read_bytes())
    files = {"weights": folder / f"{config.name}.safetensors", "network": folder / f"{config.name}.onnx"}
    checkpoint.write_whole(files["weights"], halves(state))
    checkpoint.write_whole(files["network"], unet_files.written(state))
    spec = replace(families()[FAMILY], name=config.name, channels=CHANNELS)
    queue = CropQueue(best_device(), runtime=runtime_there())
    try:
        model = cellpose_unet.load(spec, [("network", files["network"])], queue)
        files["size"] = folder / f"{config.name}.size.safetensors"
        sizes = _sizes(model, diameter_px, sets)
        checkpoint.write_whole(files["size"], safetensors.numpy.save(sizes[0]))
        sized = cellpose_unet.load(spec, [(role, files[role]) for role in ("network", "size")], queue)
        figures = {
            "size_model": sizes[1],
            "scores": scored(model, sized, tested, diameter_px, config.row.object_um, folder / f"{config.name}.jpg"),
            "robustness": robustness(model, some_of(sets["test"]), diameter_px),
        }
    finally:
        queue.close()
    return Finished(files, FAMILY, CHANNELS, figures)


def halves(state: State) -> bytes:
    """A file of weights in half precision."""
    return safetensors.numpy.save(
        {name: values.astype(np.float16) if values.dtype.kind == "f" else values for name, values in state.items()}
    )


def scored(
    model: FlowModel,
    sized: FlowModel | None,
    tested: Sequence[Example],
    diameter_px: float,
    object_um: float,
    pictures: Path,
) -> dict[str, Figures]:
    """As users meet images: their scale is told by a slide, by a size model where there is one, or by nothing.

    The worst of each kind are shown in `pictures`.
    """
    known = [one for one in tested if one.mpp]
    ways: dict[str, tuple[Sequence[Example], Find]] = {
        f"scale known, objects of {object_um:g} um": (
            known,
            lambda one: found_at(model, one.pixels, one.mpp, object_um),
        ),
        "scale unknown, in two passes": (
            tested,
            lambda one: found(model, one.pixels, diameter_px, is_measured=False),
        ),
    }
    if sized is not None:
        ways["scale unknown, by the size model"] = (
            tested,
            lambda one: found(sized, one.pixels, diameter_px, is_measured=True),
        )
    gallery = Gallery()
    figures = {name: score(examples, find, gallery) for name, (examples, find) in ways.items() if examples}
    checkpoint.write_whole(pictures, gallery.jpeg())
    return figures


def some_of(examples: Sequence[Prepared]) -> list[Prepared]:
    """A few with objects, of all kinds: every n-th."""
    there = [one for one in examples if one.object_count]
    return there[:: max(1, len(there) // _ROBUSTNESS_IMAGES)]


def _sizes(model: FlowModel, diameter_px: float, sets: Sets) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    """The size model, and how far off it is on watched groups: as a factor, in the median and for nine of ten."""
    train = sets["train"]
    order = np.random.default_rng(0).permutation(len(train))[:_SIZE_IMAGES]

    def style_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return model.style(pixels, 1.0, Wanted(diameter_um=diameter_px))

    logs, styles = size_model.samples([train[n] for n in order], diameter_px, style_of)
    fitted = size_model.fit(logs, styles, diameter_px)
    held, of_held = size_model.samples(sets["watch"], diameter_px, style_of)
    if not held.size:
        return fitted, {}
    wrong = np.exp(np.abs(size_model.predicted(fitted, of_held) - held))
    return fitted, {
        "median_factor": round(float(np.median(wrong)), 3),
        "p90_factor": round(float(np.quantile(wrong, 0.9)), 3),
    }
