"""`morula segment`: for people with plain images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.common.errors import MorulaError
from morula.common.models import ModelSpec, find
from morula.common.weights import WeightsFolder
from morula.networks.models import Models
from morula.onebox.failures import WrongUse, one_line
from morula.onebox.folder import DataFolder
from morula.onebox.images import find_images, read_image, write_geojson, write_labels
from morula.onebox.machine import profile
from morula.onebox.models import registry
from morula.segmenter.backends import MODELS
from morula.segmenter.channels import eight_bits
from morula.segmenter.instances import Calibration, Model, Sizing, Wanted
from morula.segmenter.outlines import outline
from morula.segmenter.params import FlowParams
from morula.tiler.calibration import MIN_DENSITY, calibrate

USUAL_MPP = 0.5
"""Of images that do not say how large their pixels are."""


@dataclass(frozen=True)
class Segmented:
    """What became of one image; `error` says why nothing did."""

    image: Path
    cell_count: int = 0
    labels: Path | None = None
    error: str = ""


def segment(
    paths: Sequence[Path],
    out: Path,
    folder: DataFolder,
    name: str,
    mpp: float,
    asked: Mapping[str, Any],
    report: Callable[[Segmented], None],
    batch: int = 0,
    *,
    is_scale_known: bool = True,
) -> list[Segmented]:
    """Segments images one by one; one that cannot be read does not keep the others from it.

    What is asked for is named as a job's request names it. Where the scale is not known, a model that can tell the
    size of objects from an image is asked for it first.
    """
    images = find_images(paths)
    spec = find(name, "segmenter", registry(folder))
    spec.check_asked(asked)
    spec.check_use(profile())
    wanted = _wanted(asked, batch)
    out.mkdir(parents=True, exist_ok=True)
    models = Models("segmenter", MODELS, WeightsFolder(folder.weights))
    done = []
    try:
        for image in images:
            done.append(_segment_one(image, out, models[spec.name], spec, mpp, wanted, is_scale_known=is_scale_known))
            report(done[-1])
    finally:
        models.close()
    return done


def _wanted(asked: Mapping[str, Any], batch: int) -> Wanted:
    """What is asked for, as models read it: an image by itself has no slide whose dark and bright could count."""
    sizes = {name: value for name, value in asked.items() if name in ("diameter_um", "min_area_um2")}
    flows = {name: value for name, value in asked.items() if name not in sizes}
    return Wanted(**sizes, flows=FlowParams(**{"normalize": "image"} | flows, batch=batch))


def _segment_one(
    image: Path, out: Path, model: Model, spec: ModelSpec, mpp: float, wanted: Wanted, *, is_scale_known: bool
) -> Segmented:
    try:
        pixels = read_image(image)
        if spec.is_network:
            if not is_scale_known and spec.measures_objects and isinstance(model, Sizing):
                wanted = model.sized(pixels, mpp, wanted, go_on)
            outlines = outline(model(pixels, mpp, wanted))
        else:
            eight = eight_bits(pixels)
            outlines = outline(model(eight, mpp, replace(wanted, calibration=range_of(eight))))
    except WrongUse as error:
        return Segmented(image, error=one_line(error))
    except MorulaError as error:
        return Segmented(image, error=f"{image}: {one_line(error)}")
    labels = write_labels(out / image.stem, outlines.labels)
    write_geojson(out / f"{image.stem}.geojson", outlines.polygons, outlines.scores)
    return Segmented(image, outlines.scores.size, labels)


def calibration_of(pixels: NDArray[np.uint8]) -> Calibration:
    """What the tiler finds on a slide, found on one image: its stained pixels take the place of tissue tiles."""
    stains = calibrate(pixels.reshape(-1, 3)[pixels.reshape(-1, 3).mean(axis=1) < 255 * 10**-MIN_DENSITY])
    return Calibration(stains.low, stains.high, stains.stain_matrix)


def range_of(pixels: NDArray[np.uint8]) -> Calibration:
    """How dark and bright one image is. Its stains are taken for the usual ones: where it has one alone, the two that
    would be found in it are that one, and no nucleus is left."""
    found = calibration_of(pixels)
    return Calibration(found.low, found.high)
