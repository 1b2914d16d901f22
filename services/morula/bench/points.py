"""Nuclei that people marked by a point: how many a model finds, and how much of what it finds is one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

NEAR_UM = 4.25
"""Half a nucleus: a point so near to an object's centre is of that object, if it lies in no object."""
_FAR_UM = 1e6


@dataclass(frozen=True)
class Field:
    """An image with the points in it."""

    pixels: NDArray[np.uint8]
    points: NDArray[np.float64]
    """(n, 2): x and y in px, whole numbers at the left and upper edges of pixels."""
    mpp: float


@dataclass(frozen=True)
class Detection:
    """How many objects and points there are, and how many are of each other."""

    found: int
    true: int
    matched: int

    def __add__(self, other: Detection) -> Detection:
        return Detection(self.found + other.found, self.true + other.true, self.matched + other.matched)

    @property
    def f1(self) -> float:
        return 2 * self.matched / max(self.found + self.true, 1)

    @property
    def precision(self) -> float:
        return self.matched / max(self.found, 1)

    @property
    def recall(self) -> float:
        return self.matched / max(self.true, 1)


def cohort(data: Path) -> Iterator[Field]:
    """Fields of breast cancer of many patients, stains and scanners, at 20x: `brca_m2c`."""
    points: dict[str, list[tuple[float, float]]] = {}
    with (data / "brca_m2c" / "points.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            points.setdefault(row["id"], []).append((float(row["x"]), float(row["y"])))
    for name in sorted(points):
        yield Field(_read(data / "brca_m2c" / "images" / f"{name}.png"), np.array(points[name]), 0.5)


def nucls(data: Path) -> Iterator[Field]:
    """Ten fields of breast at 0.2 um per px: `nucls`."""
    for path in sorted((data / "nucls" / "images").glob("*.png")):
        with (data / "nucls" / "labels" / f"{path.stem}_points.csv").open(newline="", encoding="utf-8") as file:
            points = [(float(row["x"]), float(row["y"])) for row in csv.DictReader(file)]
        yield Field(_read(path), np.array(points), 0.2)


def match(labels: NDArray[np.int32], points: NDArray[np.float64], mpp: float) -> Detection:
    """Objects and points one to one: a point is of the object that it lies in, else of one that is near."""
    count = int(labels.max())
    if not count or not len(points):
        return Detection(count, len(points), 0)
    distances = cdist(points, _centres(labels, count)) * mpp
    columns, rows = (np.clip(points[:, n].astype(int), 0, labels.shape[1 - n] - 1) for n in (0, 1))
    inside = labels[rows, columns]
    allowed = distances <= NEAR_UM
    allowed[inside > 0] = False
    allowed[np.flatnonzero(inside), inside[inside > 0] - 1] = True
    of_point, of_object = linear_sum_assignment(np.where(allowed, distances, _FAR_UM))
    return Detection(count, len(points), int(allowed[of_point, of_object].sum()))


def _centres(labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    rows, columns = np.nonzero(labels)
    numbers = labels[rows, columns]
    sizes = np.maximum(np.bincount(numbers, minlength=count + 1)[1:], 1)
    sums = [np.bincount(numbers, place + 0.5, minlength=count + 1)[1:] for place in (columns, rows)]
    return np.stack(sums, axis=1) / sizes[:, None]


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f"{path} cannot be read as an image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
