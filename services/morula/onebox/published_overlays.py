"""Tiles with their cells drawn on, in all ways that the published system draws them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.published import UNCLASSIFIED
from morula.evaluator.published_files import AnnotatedCell
from morula.onebox.failures import WrongUse

Said = Literal["pred_class", "cluster_id", "cluster_confidence"]
SAID: tuple[Said, ...] = ("pred_class", "cluster_id", "cluster_confidence")
WRITTEN: tuple[Said, ...] = ("cluster_id", "cluster_confidence")
"""Unless somebody asks for more: where classes are shown, cells without one are left out."""
ColourBy = Literal["cluster_id", "pred_class", "none"]
COLOUR_BY: tuple[ColourBy, ...] = get_args(ColourBy)
GREY, WHITE, BACKDROP = (128, 128, 128), (255, 255, 255), (0, 0, 0)
OPACITY = 0.6
LINE_PX = 2
FONT = cv2.FONT_HERSHEY_SIMPLEX
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Overlay:
    """What is drawn of cells, by the names that the published system has for it."""

    max_labels: int = 100
    random_labels: bool = False
    draw_bbox: bool = False
    draw_polygon: bool = True
    text: bool = True
    text_use: Sequence[Said] = WRITTEN
    text_scale: float = 0.5
    color_by: ColourBy = "cluster_id"
    filter_unclassified: bool = True

    @property
    def by_class(self) -> bool:
        return self.color_by == "pred_class" or (self.text and "pred_class" in self.text_use)


def overlay_of(*, text_use: Sequence[str] | None, color_by: str, **rest: Any) -> Overlay:
    """An overlay of words as a person writes them."""
    used = tuple(name for name in SAID if name in (text_use or WRITTEN))
    if unknown := set(text_use or ()) - set(SAID):
        raise WrongUse(f"--text-use is one of {', '.join(SAID)}, not {min(unknown)}")
    by = next((name for name in COLOUR_BY if name == color_by), None)
    if by is None:
        raise WrongUse(f"--color-by is one of {', '.join(COLOUR_BY)}, not {color_by}")
    return Overlay(text_use=used, color_by=by, **rest)


def drawn(pixels: NDArray[np.uint8], cells: Sequence[AnnotatedCell], overlay: Overlay) -> NDArray[np.uint8]:
    """A copy of a tile (RGB) with its cells."""
    picture = np.ascontiguousarray(pixels[..., ::-1])
    shown = _shown(cells, overlay)
    for cell in shown:
        colour = _colour(cell, overlay.color_by)
        if overlay.draw_polygon and len(cell.polygon) > 1:
            cv2.polylines(
                picture, [np.rint(cell.polygon).astype(np.int32)], isClosed=True, color=colour, thickness=LINE_PX
            )
        if overlay.draw_bbox:
            left, top, right, bottom = _box(cell)
            cv2.rectangle(picture, (left, top), (right, bottom), colour, LINE_PX)
    if overlay.text:
        _write(picture, shown, overlay)
    return np.ascontiguousarray(picture[..., ::-1])


def _shown(cells: Sequence[AnnotatedCell], overlay: Overlay) -> Sequence[AnnotatedCell]:
    if overlay.filter_unclassified and overlay.by_class:
        cells = [cell for cell in cells if cell.pred_class not in (None, UNCLASSIFIED)]
    if overlay.random_labels and len(cells) > overlay.max_labels:
        # Of the same cells always the same: another picture would look like another result.
        return random.Random(len(cells)).sample(cells, overlay.max_labels)  # noqa: S311 - no secret
    return cells[: overlay.max_labels]


def _colour(cell: AnnotatedCell, by: ColourBy) -> Colour:
    """The published system's: bytes of a digest of the value."""
    if by == "none":
        return WHITE
    value = cell.cluster_id if by == "cluster_id" else cell.pred_class
    if value is None or value == "N/A":
        return GREY
    blue, green, red = (50 + byte % 206 for byte in hashlib.sha256(str(value).encode()).digest()[:3])
    return blue, green, red


def _box(cell: AnnotatedCell) -> tuple[int, int, int, int]:
    if cell.bbox is not None:
        return cell.bbox
    edges = np.rint([*np.min(cell.polygon, axis=0), *np.max(cell.polygon, axis=0)]).astype(int)
    return edges[0], edges[1], edges[2], edges[3]


def _write(picture: NDArray[np.uint8], cells: Sequence[AnnotatedCell], overlay: Overlay) -> None:
    """Words on dark boxes, whose darkness is mixed in once for all of them."""
    backdrop, places = picture.copy(), []
    for cell in cells:
        words = _words(cell, overlay.text_use)
        (width, height), below = cv2.getTextSize(words, FONT, overlay.text_scale, 1)
        left, top, *_ = _box(cell)
        left, bottom = max(0, min(left, picture.shape[1] - width)), max(height + below, top - 2)
        cv2.rectangle(backdrop, (left, bottom - height - below), (left + width, bottom + below), BACKDROP, cv2.FILLED)
        places.append((words, (left, bottom)))
    cv2.addWeighted(backdrop, OPACITY, picture, 1 - OPACITY, 0, dst=picture)
    for words, place in places:
        cv2.putText(picture, words, place, FONT, overlay.text_scale, WHITE, 1, cv2.LINE_AA)


def _words(cell: AnnotatedCell, used: Sequence[Said]) -> str:
    parts: dict[Said, str] = {
        "pred_class": f"c:{cell.pred_class or 'N/A'}",
        "cluster_id": f"cl:{'N/A' if cell.cluster_id is None else cell.cluster_id}",
        "cluster_confidence": "p:N/A" if cell.cluster_confidence is None else f"p:{cell.cluster_confidence:.2f}",
    }
    return ", ".join(parts[name] for name in SAID if name in used)
