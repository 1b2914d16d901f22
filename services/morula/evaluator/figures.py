"""Figures of a report as SVG that stands in the page: no script, no font, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

WIDTH, HEIGHT, MARGIN = 720, 340, 52
OURS = "#1d4ed8"
COLOURS = {"these clusters": OURS, "these labels": OURS, "constant": "#6b7280", "random": "#b45309",
           "singles": "#047857", "morphology": "#7e22ce"}  # fmt: skip
Points = Sequence[Mapping[str, Any]]


def by_clicks(curves: Mapping[str, Points], name: str, title: str) -> str:
    """A score by clicks, which lie the closer the more there are; the band is the interval of the first curve."""
    clicks = [point["clicks"] for points in curves.values() for point in points]
    last = max(2, *clicks)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= last]
    lines = [
        (word, [(_log(point["clicks"], last), point[name]) for point in points]) for word, points in curves.items()
    ]
    return _figure(title, lines, [(_log(tick, last), f"{tick}") for tick in ticks], "clicks")


def by_coverage(points: Points, title: str) -> str:
    """Accuracy of the surest cells by their share of all."""
    line = [(point["coverage"]["value"], point["accuracy"]) for point in points]
    return _figure(title, [("these clusters", line)], _shares(), "share of all cells, the surest first")


def calibration(bins: Points, title: str) -> str:
    """How many are right by how sure their clusters are; the grey line is as it should be."""
    line = [(point["confidence"], point["accuracy"]) for point in bins]
    ideal = [(end, {"value": end, "low": None, "high": None}) for end in (0.0, 1.0)]
    return _figure(title, [("these clusters", line), ("as it should be", ideal)], _shares(), "confidence")


def _shares() -> list[tuple[float, str]]:
    return [(tenth / 10, f"{tenth / 10:g}") for tenth in range(0, 11, 2)]


def _log(clicks: int, last: int) -> float:
    return float(np.log(clicks) / np.log(last))


def _figure(
    title: str,
    lines: Sequence[tuple[str, Sequence[tuple[float, Mapping[str, Any]]]]],
    ticks: Sequence[tuple[float, str]],
    axis: str,
) -> str:
    drawn = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    if lines:
        drawn.append(_band(lines[0][1]))
    for height in (0, 0.25, 0.5, 0.75, 1):
        y = _y(height)
        drawn.append(f'<path d="M{MARGIN},{y:.1f}H{WIDTH - MARGIN}" stroke="#e5e7eb"/>')
        drawn.append(_text(MARGIN - 8, y + 4, f"{height:g}", "end"))
    drawn += [_text(_x(place), HEIGHT - MARGIN + 18, word, "middle") for place, word in ticks]
    drawn.append(_text(WIDTH / 2, HEIGHT - 10, axis, "middle"))
    for number, (word, points) in enumerate(lines):
        colour = COLOURS.get(word, "#6b7280")
        places = [(_x(x), _y(y["value"])) for x, y in points if y["value"] is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(places) < 3:
            drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        drawn.append(_text(MARGIN + 140 * number, 18, word, "start", colour))
    return "\n".join([*drawn, "</svg>"])


def _band(points: Sequence[tuple[float, Mapping[str, Any]]]) -> str:
    whole = [(x, y) for x, y in points if y["low"] is not None]
    if not whole:
        return ""
    edge = [(_x(x), _y(y["low"])) for x, y in whole] + [(_x(x), _y(y["high"])) for x, y in reversed(whole)]
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in edge)}" fill="#dbeafe"/>'


def _x(share: float) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * share


def _y(share: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * min(max(share, 0.0), 1.0)


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#374151") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="13" '
        f'font-family="sans-serif">{escape(words)}</text>'
    )
