"""A picture of a slide with its tiles marked: what is kept, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from morula.onebox.failures import WrongUse
from morula.onebox.legend import FONT, Colour, Entry, Kind, Pixels, draw_legend
from morula.tiler.tissue import Mask

Ring = NDArray[np.float64]

KEPT: Colour = (0, 140, 90)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
# Colour of a tile by its first reason; none looks like a stain or like another.
COLOURS: dict[str, Colour] = {
    "pen": (0, 90, 255),
    "fold": (255, 140, 0),
    "blurred": (230, 210, 0),
    "poor": (220, 0, 40),
    "unreadable": BLACK,
    "excluded": (120, 120, 120),
    "unsampled": (190, 190, 190),
}
# What is outlined where it lies: a tile of which little is ink is kept, and the ink is seen all the same.
LINES: dict[str, Colour] = {
    "pen found": COLOURS["pen"],
    "fold found": COLOURS["fold"],
    "included region": BLACK,
    "excluded region": COLOURS["excluded"],
}
COVER = 0.45
SIDE_PX = 1600
GAP_PX = 5  # Of the overview: what is closer together has one outline.
SPECK_PX = 100  # What is smaller has none.
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


@dataclass(frozen=True)
class Marks:
    """All that is drawn on the overview, at level 0: tiles, cores, and outlines by what they surround."""

    tiles: Marked
    cores: Sequence[Mapping[str, Any]] = ()
    outlines: Mapping[str, Sequence[Ring]] = field(default_factory=dict)


def rings(mask: Mask, downsample: float) -> list[Ring]:
    """The outlines of a mask of the overview at level 0, but for specks."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((GAP_PX, GAP_PX), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [
        (ring[:, 0].astype(np.float64) + 0.5) * downsample for ring in contours if cv2.contourArea(ring) >= SPECK_PX
    ]


def check_preview(path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        raise WrongUse(f"a preview is one of {', '.join(FORMATS)}, not {path.name}")


def draw(path: Path, overview: Pixels, downsample: float, marks: Marks) -> None:
    """Writes the picture; `downsample` is level-0 pixels per pixel of the overview."""
    shrink = min(1.0, SIDE_PX / max(overview.shape[:2]))
    size = (max(1, round(overview.shape[1] * shrink)), max(1, round(overview.shape[0] * shrink)))
    picture = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    scale = shrink / downsample
    picture = _marked(picture, marks.tiles, scale)
    for text, outlines in marks.outlines.items():
        _outline(picture, [np.floor(ring * scale).astype(np.int32) for ring in outlines], LINES[text])
    for core in marks.cores:
        _name_core(picture, core, scale)
    picture = np.concatenate([picture, draw_legend(size[0], _entries(marks))])
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


def _outline(picture: Pixels, outlines: Sequence[NDArray[np.int32]], colour: Colour) -> None:
    """On a light edge, so that it is seen on dark tissue and on a dark slide."""
    for shade, thickness in ((WHITE, 4), (colour, 2)):
        cv2.polylines(picture, outlines, True, shade, thickness, cv2.LINE_AA)


def _name_core(picture: Pixels, core: Mapping[str, Any], scale: float) -> None:
    """Its circle, and its name on a plate of white: letters with an edge cannot be read on a dark slide."""
    x, y, radius = (round(core[name] * scale) for name in ("x_px", "y_px", "radius_px"))
    for shade, thickness in ((WHITE, 3), (BLACK, 1)):
        cv2.circle(picture, (x, y), radius, shade, thickness, cv2.LINE_AA)
    (width, height), _ = cv2.getTextSize(core["name"], FONT, 0.5, 1)
    left, bottom = min(max(2, x - radius), picture.shape[1] - width - 2), max(height + 2, y - radius)
    cv2.rectangle(picture, (left - 2, bottom - height - 2), (left + width + 2, bottom + 3), WHITE, -1)
    cv2.putText(picture, core["name"], (left, bottom), FONT, 0.5, BLACK, 1, cv2.LINE_AA)


def _entries(marks: Marks) -> list[Entry]:
    """Which colour is what, and of how many tiles; then what the lines surround."""
    counts = Counter(marks.tiles.words).most_common()
    painted = [Entry(f"{word} {count}", COLOURS.get(word, KEPT), _kind(word)) for word, count in counts]
    return painted + [Entry(text, LINES[text], "line") for text, outlines in marks.outlines.items() if outlines]


def _kind(word: str) -> Kind:
    return "filled" if word in COLOURS else "frame" if word == "kept" else "plain"
