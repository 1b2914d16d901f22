"""Cores of a tissue microarray: found on the overview's tissue, named by row and column."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

CLOSED_UM = 60.0  # Smaller gaps are gaps within a core, not between cores.
DIAMETERS_UM = (300.0, 3000.0)
ALIKE = (0.3, 2.5)  # Times the usual area: half a core still counts as one, two that touch do not.
MIN_CORES = 4
SAME_LINE = 0.6  # Centres within so many diameters are of one row or column.


@dataclass(frozen=True)
class Core:
    """One core: its name, `B-3` being the third column of the second row, and its circle at level 0."""

    name: str
    x_px: float
    y_px: float
    radius_px: float


def find_cores(tissue: Mask, um_per_px: float, downsample: float) -> list[Core]:
    """Cores from the overview's tissue, row by row; none where the slide is no microarray."""
    size = 2 * round(CLOSED_UM / um_per_px / 2) + 1
    closed = cv2.morphologyEx(tissue.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))
    _, _, measured, centres = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas, centres = measured[1:, cv2.CC_STAT_AREA].astype(np.float64), np.asarray(centres[1:], np.float64)
    diameters = 2 * np.sqrt(areas / math.pi) * um_per_px
    sized = (diameters >= DIAMETERS_UM[0]) & (diameters <= DIAMETERS_UM[1])
    if sized.sum() < MIN_CORES:
        return []
    usual = float(np.median(areas[sized]))
    taken = sized & (areas >= ALIKE[0] * usual) & (areas <= ALIKE[1] * usual)
    if taken.sum() < MIN_CORES:
        return []
    centres, radius = centres[taken], math.sqrt(usual / math.pi)
    row, column = _lines(np.asarray(centres, np.float64), 2 * radius * SAME_LINE)
    return [
        Core(
            f"{letters(int(row[i]))}-{column[i] + 1}",
            float(centres[i, 0] + 0.5) * downsample,
            float(centres[i, 1] + 0.5) * downsample,
            radius * downsample,
        )
        for i in np.lexsort((column, row))
    ]


def core_of(cores: list[Core], x_px: Floats, y_px: Floats) -> list[str | None]:
    """The core whose centre is nearest to each point, none where the point lies outside of all."""
    if not cores:
        return [None] * len(x_px)
    places = np.array([(core.x_px, core.y_px) for core in cores])
    names = [core.name for core in cores]
    core_names: list[str | None] = []
    for start in range(0, len(x_px), 4096):
        points = np.stack([x_px[start : start + 4096], y_px[start : start + 4096]], axis=1)
        away = np.linalg.norm(points[:, None] - places[None], axis=2)
        nearest = away.argmin(axis=1)
        inside = away.min(axis=1) <= 1.5 * cores[0].radius_px
        core_names += [names[k] if near else None for k, near in zip(nearest, inside, strict=True)]
    return core_names


def letters(number: int) -> str:
    """A, B, ... Z, AA, AB: names of rows from 0."""
    name = ""
    while number >= 0:
        name = chr(ord("A") + number % 26) + name
        number = number // 26 - 1
    return name


def _lines(centres: Floats, gap: float) -> tuple[Numbers, Numbers]:
    """Row and column of each centre, the array's tilt taken out before."""
    tilt = _tilt(centres)
    along = centres[:, 0] * math.cos(tilt) + centres[:, 1] * math.sin(tilt)
    across = centres[:, 1] * math.cos(tilt) - centres[:, 0] * math.sin(tilt)
    return _numbered(across, gap), _numbered(along, gap)


def _tilt(centres: Floats) -> float:
    """By how much the array is turned, at most 45 degrees: nearest neighbours lie along its rows and columns."""
    away = centres[None] - centres[:, None]
    distances = np.linalg.norm(away, axis=2)
    np.fill_diagonal(distances, np.inf)
    x, y = away[np.arange(len(centres)), distances.argmin(axis=1)].T
    return float(np.angle(np.exp(4j * np.arctan2(y, x)).mean())) / 4


def _numbered(places: Floats, gap: float) -> Numbers:
    """Numbers of the lines that places lie on; the next line begins after a gap."""
    order = np.argsort(places, kind="stable")
    numbers = np.empty(len(places), np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(places[order]) > gap)])
    return numbers
