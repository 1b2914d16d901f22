"""A cohort with human classes: cells of breast cancer fields, matched to points that people marked."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.bench.fields import Field, Finder, cells_of, finder
from morula.common.keys import STAGE_REVISIONS, digest
from morula.common.models import DEFAULT_SEGMENTER, find
from morula.onebox.failures import Failure

FIELD_MPP = 0.5
WITHIN_UM = 4.0
ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / "build" / "bench"
CLASSES = ("lymphocyte", "stromal", "tumour_or_epithelial")


@dataclass(frozen=True)
class Cohort:
    """Cells of all fields, field after field; class 0 is a cell that no point marks."""

    vectors: NDArray[np.float16]
    x_um: NDArray[np.float64]
    y_um: NDArray[np.float64]
    field: NDArray[np.int64]
    patient: NDArray[np.int64]
    classes: NDArray[np.int64]
    match_rate: float
    """Share of the points that a cell was found for."""


@dataclass(frozen=True)
class MatchedField:
    """One field's cells with the class of each; 0 where no point marks it."""

    name: str
    pixels: NDArray[np.uint8]
    patient: str
    cells: Field
    classes: NDArray[np.int64]
    point_count: int
    matched_count: int


def data_folder() -> Path:
    """Where the optional real data lie."""
    return Path(os.environ.get("MORULA_DATA") or ROOT.parent / "shared" / "data")


def load() -> Cohort:
    """The cohort, measured once and kept below `build/`."""
    folder = data_folder() / "brca_m2c"
    if not folder.is_dir():
        raise Failure(f"{folder} is not there; MORULA_DATA names the folder that holds brca_m2c")
    models = [find(DEFAULT_SEGMENTER, "segmenter").revision, find("morphology", "embedder").revision]
    stages = {stage: STAGE_REVISIONS[stage] for stage in ("cells", "vectors", "morphology")}
    kept = CACHE / f"brca_m2c_{digest([models, stages])[:16]}.npz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, **_measured(folder))
        partial.replace(kept)
    with np.load(kept) as stored:
        arrays = {name: stored[name] for name in stored.files}
    rate = float(arrays.pop("match_rate"))
    return Cohort(**arrays, match_rate=rate)


def matched_fields(folder: Path, find_cells: Finder) -> Iterator[MatchedField]:
    """All fields by name."""
    points: dict[str, list[tuple[float, float, int]]] = {}
    with (folder / "points.csv").open(encoding="utf-8") as lines:
        for line in csv.DictReader(lines):
            place = (float(line["x"]), float(line["y"]), CLASSES.index(line["class"]) + 1)
            points.setdefault(line["id"], []).append(place)
    with (folder / "index.csv").open(encoding="utf-8") as lines:
        patient_of = {line["id"]: line["patient"] for line in csv.DictReader(lines)}
    for name in sorted(patient_of):
        path = folder / "images" / f"{name}.png"
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise Failure(f"{path} is no picture")
        pixels = np.ascontiguousarray(picture[:, :, ::-1], np.uint8)
        cells = cells_of(pixels, FIELD_MPP, find_cells)
        x, y, classes = np.asarray(points[name]).T
        cell = cells.match(x, y, WITHIN_UM / FIELD_MPP)
        truth = np.zeros(len(cells.centroids), np.int64)
        truth[cell[cell >= 0]] = classes[cell >= 0]
        yield MatchedField(name, pixels, patient_of[name], cells, truth, len(cell), int((cell >= 0).sum()))


def _measured(folder: Path) -> dict[str, Any]:
    with finder() as find_cells:
        fields = list(matched_fields(folder, find_cells))
    numbers = {patient: number for number, patient in enumerate(sorted({field.patient for field in fields}))}
    parts = [
        {
            "vectors": field.cells.vectors(),
            "x_um": field.cells.centroids[:, 0] * FIELD_MPP,
            "y_um": field.cells.centroids[:, 1] * FIELD_MPP,
            "field": np.full(len(field.classes), number),
            "patient": np.full(len(field.classes), numbers[field.patient]),
            "classes": field.classes,
        }
        for number, field in enumerate(fields)
    ]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found, asked = (
        sum(counts) for counts in zip(*((one.matched_count, one.point_count) for one in fields), strict=True)
    )
    return {**arrays, "match_rate": np.asarray(found / asked)}
