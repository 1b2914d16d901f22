"""The bundle of muscle fibres: one periodic row of widths and tones, read across the flow."""

from functools import lru_cache

import numpy as np

from morula.synth.noise import Floats, Ints, uniform
from morula.synth.tissue import FIBRE_PERIOD_PX, Layout


@lru_cache(maxsize=8)
def fibre_edges(seed: int) -> Floats:
    """Where one fibre ends and the next begins, across the flow, from 0 to the period."""
    widths = 24 + 22 * uniform(seed, 60, np.arange(29))
    return np.concatenate([[0.0], np.cumsum(widths) * (FIBRE_PERIOD_PX / widths.sum())])


def across(seed: int, v: Floats) -> tuple[Floats, Floats]:
    """(signed distance to the nearest edge between fibres in px, the fibre's own tone in [0, 1])."""
    edges, place = fibre_edges(seed), np.mod(v, FIBRE_PERIOD_PX)
    index = np.clip(np.searchsorted(edges, place, side="right") - 1, 0, len(edges) - 2)
    left, right = place - edges[index], place - edges[index + 1]
    return np.where(left < -right, left, right), uniform(seed, 61, index)


def snap_to_fibre_edge(layout: Layout, x: Floats, y: Floats, angle: Floats) -> tuple[Floats, Floats]:
    """Move points onto the nearest edge: muscle nuclei lie at the rim of their fibre."""
    offset, _ = across(layout.seed, layout.muscle(x, y)[1])
    side = np.sign(offset + 1e-9) * 4.5
    return x + (offset - side) * np.sin(angle), y - (offset - side) * np.cos(angle)


def fibre_of(layout: Layout, x: Floats, y: Floats) -> Ints:
    """The fibre that each place lies in."""
    _, v = layout.muscle(x, y)
    period, place = np.divmod(v, FIBRE_PERIOD_PX)
    edges = fibre_edges(layout.seed)
    return period.astype(np.int64) * len(edges) + np.searchsorted(edges, place, side="right")
