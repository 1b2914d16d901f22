"""Losses and scores of a run as a picture that any browser shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_WIDTH, _HEIGHT, _MARGIN = 720, 360, 48
_SMOOTHED = 25
Points = Sequence[tuple[float, float]]


def svg(lines: Sequence[dict[str, Any]]) -> str:
    """The smoothed loss (left axis) and the score on watched groups (right axis, 0 to 1) by step."""
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    scores = [(line["step"], line["scores"]["score"]) for line in lines if "scores" in line]
    last = max([step for step, _ in losses] or [1])
    highest = max([loss for _, loss in smoothed(losses)] or [1.0]) * 1.05
    return "\n".join([
        *_head(),
        _line(losses, last, highest, "#cbd5e1", 1),
        _line(smoothed(losses), last, highest, "#1d4ed8", 2),
        _line(scores, last, 1.0, "#b45309", 2),
        *_axis(last, highest),
        "</svg>",
    ])  # fmt: skip


def curve_svg(points: Sequence[Mapping[str, float | None]]) -> str:
    """Scores (0 to 1) by the number of images, each twice as many as far from the last."""
    counts = [point["image_count"] or 1 for point in points]
    first = counts[0]
    last = max(1e-9, float(np.log2(counts[-1] / first)))
    places = [float(np.log2(count / first)) for count in counts]
    lines = {
        name: [(x, y) for x, point in zip(places, points, strict=True) if (y := point[name]) is not None]
        for name in ("watched", "tested")
    }
    marks = [
        f'<text x="{_place(x, 0, last, 1).partition(",")[0]}" y="{_HEIGHT - _MARGIN + 18}" text-anchor="middle">'
        f"{count:g}</text>"
        for x, count in zip(places, counts, strict=True)
    ]
    bottom, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    return "\n".join([
        *_head(),
        _line(lines["watched"], last, 1.0, "#b45309", 2),
        _line(lines["tested"], last, 1.0, "#1d4ed8", 2),
        f'<path d="M{_MARGIN},{_MARGIN}V{bottom}H{right}" fill="none" stroke="#64748b"/>',
        *marks,
        f'<text x="{_MARGIN - 6}" y="{_MARGIN + 4}" text-anchor="end">1</text>',
        f'<text x="{_MARGIN - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_MARGIN}" y="{_MARGIN - 14}">score by images: on watched (brown) and tested groups (blue)</text>',
        "</svg>",
    ])  # fmt: skip


def _head() -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]


def smoothed(losses: Points) -> list[tuple[float, float]]:
    """Means over so many steps before each."""
    values = np.array([loss for _, loss in losses])
    return [(step, float(values[max(0, n + 1 - _SMOOTHED) : n + 1].mean())) for n, (step, _) in enumerate(losses)]


def _place(x: float, y: float, last: float, highest: float) -> str:
    across = _MARGIN + (_WIDTH - 2 * _MARGIN) * x / last
    down = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * min(y / highest, 1.0)
    return f"{across:.1f},{down:.1f}"


def _line(points: Points, last: float, highest: float, colour: str, width: int) -> str:
    places = " ".join(_place(x, y, last, highest) for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _axis(last: float, highest: float) -> list[str]:
    bottom, right = _HEIGHT - _MARGIN, _WIDTH - _MARGIN
    frame = f'<path d="M{_MARGIN},{_MARGIN}V{bottom}H{right}V{_MARGIN}" fill="none" stroke="#64748b"/>'
    texts = [(_MARGIN - 6, _MARGIN + 4, "end", f"{highest:.2g}"), (_MARGIN - 6, bottom, "end", "0"),
             (right + 6, _MARGIN + 4, "start", "1"), (right + 6, bottom, "start", "0"),
             (right, bottom + 18, "end", f"step {last:.0f}"), (_MARGIN, _MARGIN - 14, "start", "loss (blue)"),
             (right, _MARGIN - 14, "end", "score on watched groups (brown)")]  # fmt: skip
    return [frame, *(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{word}</text>' for x, y, anchor, word in texts)]
