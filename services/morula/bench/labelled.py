"""Cells that a simulated annotator can label: features, the class of each, and whose it is."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.bench.cohort import Cohort
from morula.clusterer import features
from morula.clusterer.vectors import own_scale
from morula.common.models import find
from morula.onebox.failures import WrongUse

NEIGHBOURS = 8
NEEDED = ("class", "patient")
PLACES = ("slide", "x_um", "y_um")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Class 0 is a cell of which nobody said what it is; classes and patients are numbered from 1 and from 0."""

    built: features.Features
    classes: Rows
    patient: Rows

    @property
    def class_count(self) -> int:
        return int(self.classes.max())

    @property
    def patient_count(self) -> int:
        return int(self.patient.max()) + 1


def of_cohort(cohort: Cohort) -> Labelled:
    """As the clusterer makes features of slides; here a field is a slide."""
    spec = find("morphology", "embedder")
    scale = features.Scale(spec.columns, spec.location, spec.scale)
    slides = _slides(cohort.vectors, cohort.field, cohort.x_um, cohort.y_um)
    return Labelled(features.build(slides, scale, NEIGHBOURS), cohort.classes, cohort.patient)


def read(vectors_path: Path, truth_path: Path) -> Labelled:
    """Vectors of anybody's and a table with a row for each: `class` (empty where unknown) and `patient`.

    With `slide`, `x_um` and `y_um` the nearest cells' mean stands beside a cell's own. Columns are scaled as
    `morula cluster` scales them, by all rows together: a reference that is not the slide's own.
    """
    vectors = np.load(vectors_path, allow_pickle=False)
    with truth_path.open(encoding="utf-8", newline="") as lines:
        table = list(csv.DictReader(lines))
    if vectors.ndim != 2 or len(vectors) != len(table) or not table:
        raise WrongUse(f"{truth_path} has {len(table)} rows, {vectors_path} is of shape {vectors.shape}")
    if missing := [name for name in NEEDED if name not in table[0]]:
        raise WrongUse(f"{truth_path} has no column {missing[0]!r}")
    if not np.isfinite(vectors).all():
        raise WrongUse(f"{vectors_path} has rows that are not numbers throughout")
    words, classes = np.unique([row["class"] for row in table], return_inverse=True)
    _, patient = np.unique([row["patient"] for row in table], return_inverse=True)
    scale = own_scale(vectors, np.ones(len(vectors), bool))
    numbers = classes + (0 if words[0] == "" else 1)
    return Labelled(_built(vectors, table, scale), numbers.astype(np.int64), patient.astype(np.int64))


def _built(vectors: NDArray[np.float32], table: list[dict[str, str]], scale: features.Scale) -> features.Features:
    if not all(name in table[0] for name in PLACES):
        return unplaced(vectors, scale)
    _, slide = np.unique([row["slide"] for row in table], return_inverse=True)
    if (np.diff(slide) < 0).any():
        raise WrongUse("rows of the truth must be sorted by slide")
    x_um, y_um = (np.asarray([float(row[name]) for row in table]) for name in PLACES[1:])
    return features.build(_slides(vectors, slide, x_um, y_um), scale, NEIGHBOURS)


def unplaced(vectors: NDArray[np.float32], scale: features.Scale) -> features.Features:
    """Of cells that lie nowhere: without the nearest ones."""
    nowhere = np.zeros(len(vectors))
    return features.build([features.SlideVectors(vectors, nowhere, nowhere)], scale, 0)


def _slides(
    vectors: NDArray[np.float16] | NDArray[np.float32],
    slide: Rows,
    x_um: NDArray[np.float64],
    y_um: NDArray[np.float64],
) -> list[features.SlideVectors]:
    rows = (np.flatnonzero(slide == number) for number in range(int(slide.max()) + 1))
    return [features.SlideVectors(vectors[here], x_um[here], y_um[here]) for here in rows]
