"""`morula segment` and `morula score segmentation`: for people with plain images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.common.errors import MorulaError
from morula.common.models import ModelSpec, find
from morula.common.weights import WeightsFolder
from morula.evaluator.boundaries import distances_px
from morula.evaluator.shapes import Overlap, overlap, scores
from morula.networks.models import Models
from morula.onebox.failures import WrongUse, one_line
from morula.onebox.folder import DataFolder
from morula.onebox.images import find_images, read_image, read_labels, write_geojson, write_labels
from morula.onebox.machine import profile
from morula.onebox.models import registry
from morula.segmenter.backends import MODELS
from morula.segmenter.channels import eight_bits
from morula.segmenter.instances import Calibration, Model, Sizing, Wanted
from morula.segmenter.outlines import outline
from morula.segmenter.params import FlowParams
from morula.tiler.calibration import MIN_DENSITY, calibrate

ALL = "all"
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


@dataclass
class _Scored:
    """Images of one group."""

    pairs: list[Overlap] = field(default_factory=list)
    distances_px: list[NDArray[np.float64]] = field(default_factory=list)
    annotators: list[Overlap] = field(default_factory=list)

    def numbers(self) -> dict[str, float]:
        distances = np.concatenate(self.distances_px)
        found = scores(self.pairs)
        if len(distances):
            found["boundary_px"] = float(distances.mean())
        if self.annotators:
            between = scores(self.annotators)["error_rate"]
            found |= {"annotators_error_rate": between, "consensus_bound": between / 2}
        return found


def score(truth: Path, prediction: Path, index: Path | None, second: Path | None = None) -> dict[str, dict[str, float]]:
    """Scores of all images, and of each modality where an index names them; every truth needs its prediction.

    `second` are images of another annotator: half of how far the two are apart is the least error that can be told.
    """
    expected, predictions = _by_stem(truth), _by_stem(prediction)
    others = _by_stem(second) if second else {}
    _check_there(expected, predictions, "prediction")
    if second:
        _check_there(expected, others, "second truth")
    modalities = _modalities(index) if index else {}
    groups = {ALL: _Scored()}
    for stem, path in expected.items():
        true = read_labels(path)
        predicted = _read_like(true, predictions[stem], f"{stem}: truth is {true.shape}, prediction")
        named = [ALL, modalities.get(stem, "not in the index")] if index else [ALL]
        pair, distances = overlap(true, predicted), distances_px(true, predicted)
        between = []
        if second:
            between = [overlap(true, _read_like(true, others[stem], f"{stem}: truth is {true.shape}, the second"))]
        for name in named:
            group = groups.setdefault(name, _Scored())
            group.pairs.append(pair)
            group.distances_px.append(distances)
            group.annotators += between
    return {name: group.numbers() for name, group in groups.items()}


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in find_images([folder])}


def _check_there(expected: Mapping[str, Path], found: Mapping[str, Path], what: str) -> None:
    if missing := sorted(set(expected) - set(found)):
        raise WrongUse(f"{len(missing)} images have no {what}, the first is {missing[0]}")


def _read_like(true: NDArray[np.integer], path: Path, words: str) -> NDArray[np.integer]:
    labels = read_labels(path)
    if labels.shape != true.shape:
        raise WrongUse(f"{words} {labels.shape}")
    return labels


def _modalities(index: Path) -> dict[str, str]:
    with index.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"id", "modality"} <= rows[0].keys():
        raise WrongUse(f"{index} has no columns id and modality")
    return {Path(row["id"]).stem: row["modality"] for row in rows}
