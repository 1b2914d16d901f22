"""A picture of a slide with its tiles marked: what is kept, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from morula.onebox.failures import WrongUse

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

KEPT: Colour = (0, 140, 90)
# What a tile is painted with, by its first reason: colours that differ from stains and from each other.
COLOURS: dict[str, Colour] = {
    "pen": (0, 90, 255),
    "fold": (255, 140, 0),
    "blurred": (230, 210, 0),
    "poor": (220, 0, 40),
    "unreadable": (0, 0, 0),
    "excluded": (120, 120, 120),
    "unsampled": (190, 190, 190),
}
LEFT_WHITE = "background"
COVER = 0.45
SIDE_PX = 1600
LEGEND_PX = 34
FONT = cv2.FONT_HERSHEY_SIMPLEX
FORMATS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Marked:
    """Tiles as boxes (x, y, width, height) at level 0, each with what is to be said of it."""

    boxes: NDArray[np.int64]
    words: list[str]

    @classmethod
    def of(cls, tiles: pa.Table) -> Marked:
        boxes = np.stack([tiles[name].to_numpy() for name in ("x_px", "y_px", "width_px", "height_px")], axis=1)
        rows = zip(tiles["verdict"].to_pylist(), tiles["reasons"].to_pylist(), strict=True)
        return cls(boxes, [_word(verdict, reasons) for verdict, reasons in rows])


def _word(verdict: str, reasons: Sequence[str] | None) -> str:
    """A tile that the gate rejects is marked by its first reason; six metrics share one mark."""
    return next((reason for reason in reasons or () if reason in COLOURS), verdict)


def draw(
    path: Path, overview: Pixels, downsample: float, tiles: Marked, cores: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Writes the picture; `downsample` is level-0 pixels per pixel of the overview."""
    if path.suffix.lower() not in FORMATS:
        raise WrongUse(f"a preview is one of {', '.join(FORMATS)}, not {path.name}")
    shrink = min(1.0, SIDE_PX / max(overview.shape[:2]))
    size = (max(1, round(overview.shape[1] * shrink)), max(1, round(overview.shape[0] * shrink)))
    picture = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    picture = _marked(picture, tiles, shrink / downsample)
    for core in cores:
        x, y, radius = (round(core[name] * shrink / downsample) for name in ("x_px", "y_px", "radius_px"))
        cv2.circle(picture, (x, y), radius, (0, 0, 0), 1, cv2.LINE_AA)
        cv2.putText(picture, core["name"], (x - radius, y - radius), FONT, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    picture = np.concatenate([picture, _legend(size[0], Counter(tiles.words))])
    encode = imagecodecs.png_encode if path.suffix.lower() == ".png" else imagecodecs.jpeg8_encode
    path.write_bytes(encode(np.ascontiguousarray(picture)))


def _marked(picture: Pixels, tiles: Marked, scale: float) -> Pixels:
    """Kept tiles are framed and stay as they are; the others are covered in their reason's colour."""
    covered = picture.copy()
    places = [tuple(map(int, place)) for place in np.rint(_corners(tiles.boxes) * scale)]
    for (left, top, right, bottom), word in zip(places, tiles.words, strict=True):
        if word in COLOURS:
            covered[top:bottom, left:right] = COLOURS[word]
    mixed = np.asarray(cv2.addWeighted(picture, 1 - COVER, covered, COVER, 0), np.uint8)
    for (left, top, right, bottom), word in zip(places, tiles.words, strict=True):
        if word == "kept":
            cv2.rectangle(mixed, (left, top), (right - 1, bottom - 1), KEPT, 1)
    return mixed


def _corners(boxes: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float64)


def _legend(width: int, counts: Counter[str]) -> Pixels:
    """Which colour is what, and of how many tiles; in as many lines as it takes."""
    lines: list[list[str]] = [[]]
    x = 0
    entries = [f"{word} {count}" for word, count in counts.most_common()]
    for entry in entries:
        needed = cv2.getTextSize(entry, FONT, 0.5, 1)[0][0] + 2 * LEGEND_PX
        if x and x + needed > width:
            lines.append([])
            x = 0
        lines[-1].append(entry)
        x += needed
    legend = np.full((LEGEND_PX * len(lines), width, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        x = 8
        for entry in line:
            top = row * LEGEND_PX + 10
            word = entry.rsplit(" ", 1)[0]
            colour = KEPT if word == "kept" else COLOURS.get(word, (255, 255, 255))
            cv2.rectangle(legend, (x, top), (x + 14, top + 14), colour, 1 if word in ("kept", LEFT_WHITE) else -1)
            cv2.putText(legend, entry, (x + 22, top + 12), FONT, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
            x += cv2.getTextSize(entry, FONT, 0.5, 1)[0][0] + 2 * LEGEND_PX
    return legend
