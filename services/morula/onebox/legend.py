"""The lines below a picture that say what its colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]
Kind = Literal["filled", "frame", "line", "plain"]

LINE_PX = 34
SWATCH_PX = 14
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Entry:
    """A text, and the colour it explains: of an area, of a frame, of a line, or none."""

    text: str
    colour: Colour
    kind: Kind

    @property
    def width_px(self) -> int:
        return int(cv2.getTextSize(self.text, FONT, 0.5, 1)[0][0]) + 2 * LINE_PX


def draw_legend(width_px: int, entries: Sequence[Entry]) -> Pixels:
    """The entries side by side, in as many lines as it takes."""
    lines = _broken(width_px, entries)
    legend = np.full((LINE_PX * len(lines), width_px, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        x = 8
        for entry in line:
            _draw_entry(legend, entry, x, row * LINE_PX + 10)
            x += entry.width_px
    return legend


def _broken(width_px: int, entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries in lines."""
    lines: list[list[Entry]] = [[]]
    x = 0
    for entry in entries:
        if x and x + entry.width_px > width_px:
            lines.append([])
            x = 0
        lines[-1].append(entry)
        x += entry.width_px
    return lines


def _draw_entry(legend: Pixels, entry: Entry, x: int, y: int) -> None:
    end = (x + SWATCH_PX, y + SWATCH_PX)
    if entry.kind == "line":
        cv2.line(legend, (x, y + SWATCH_PX // 2), (end[0], y + SWATCH_PX // 2), entry.colour, 2)
    elif entry.kind != "plain":
        cv2.rectangle(legend, (x, y), end, entry.colour, -1 if entry.kind == "filled" else 1)
    text_x = x if entry.kind == "plain" else x + SWATCH_PX + 8
    cv2.putText(legend, entry.text, (text_x, y + 12), FONT, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
