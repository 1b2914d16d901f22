"""Glands and vessels: hollow things with walls of cells."""

import numpy as np
from numpy.typing import NDArray

from morula.synth.noise import Floats, Lattice, Window, lattice_point
from morula.synth.shapes import BLOB_FIELDS, Blobs, outlines, radial, reach, wobble
from morula.synth.tissue import Layout, Tissue

HOLLOW = np.dtype([*BLOB_FIELDS, ("wall", "f8"), ("atypical", "?"), ("atypia", "f8"), ("mucous", "?"), ("key", "f8")])
GLAND_SPACING_PX, VESSEL_SPACING_PX = 205.0, 150.0
REACH_PX, VESSEL_REACH_PX = 240, 90  # how far outside a window a centre can lie and matter in it
_GLANDS, _VESSELS = 20, 21


def glands_near(layout: Layout, window: Window) -> Blobs:
    """Glands that can touch the window: round and regular in gland tissue, crooked and thick-walled in tumour."""
    jitter = 0.13
    sites = Lattice.over(window.grown(REACH_PX), layout.seed, _GLANDS, GLAND_SPACING_PX, jitter)
    kind, border = layout.kind(sites.x, sites.y)
    depth = layout.depth(sites.x, sites.y)
    fits = (depth > 45) & (border > 22) & (sites.uniform(8) < np.where(kind == Tissue.GLAND, 0.93, 0.5))
    sites = sites.where(fits & ((kind == Tissue.GLAND) | (kind == Tissue.TUMOUR)))
    hollows = np.zeros(len(sites.x), HOLLOW)
    diseased = layout.kind(sites.x, sites.y)[0] == Tissue.TUMOUR
    atypical = sites.uniform(6) < np.where(diseased, 0.72, 0.10)  # neither tissue is pure
    atypia = np.where(atypical, sites.uniform(7, 0.25, 1.0), sites.uniform(7, 0.0, 0.3))
    space_px = _nearest_neighbour(layout.seed, sites, jitter) / 2 - 5
    hollows["x"], hollows["y"], hollows["key"], hollows["atypical"] = sites.x, sites.y, sites.uniform(0), atypical
    hollows["atypia"], hollows["mucous"] = atypia, (sites.uniform(9) < 0.4) & ~atypical
    hollows["a"] = np.minimum(space_px, sites.uniform(1, 58, 100)) / 1.08
    hollows["b"] = hollows["a"] * sites.uniform(2, 0.62, 1.0)
    hollows["angle"] = np.pi * sites.uniform(3)
    hollows["wall"] = sites.uniform(4, 26, 33) + 16 * atypia * sites.uniform(10)
    wobble(hollows, sites, 0.08 + 0.10 * atypia)
    return hollows


def _nearest_neighbour(seed: int, sites: Lattice, jitter: float) -> Floats:
    nearest = np.full(len(sites.x), np.inf)
    for dy in (-1, 0, 1):
        for dx in (-2, -1, 0, 1, 2):
            if dx or dy:
                x, y = lattice_point(seed, _GLANDS, sites.ix + dx, sites.iy + dy, GLAND_SPACING_PX, jitter)
                nearest = np.minimum(nearest, np.hypot(x - sites.x, y - sites.y))
    return nearest


def vessels_near(layout: Layout, window: Window, around: Blobs) -> Blobs:
    """Capillaries and a few larger vessels, clear of the glands `around`."""
    sites = Lattice.over(window.grown(VESSEL_REACH_PX), layout.seed, _VESSELS, VESSEL_SPACING_PX, 0.28)
    kind, border = layout.kind(sites.x, sites.y)
    radius = 9 + 30 * sites.uniform(1) ** 3
    radius = np.minimum(radius, np.where(np.isin(kind, (Tissue.STROMA, Tissue.GLAND)), 60, 13))
    chance = np.choose(kind, (0.75, 0.75, 0.45, 0.25, 0.5, 0.0))
    fits = (layout.depth(sites.x, sites.y) > radius + 20) & (border > radius * 0.4) & (sites.uniform(2) < chance)
    for gland in around:
        fits &= np.hypot(sites.x - gland["x"], sites.y - gland["y"]) > reach(gland) * 0.97 + radius + 4
    sites, radius = sites.where(fits), radius[fits]
    hollows = np.zeros(len(sites.x), HOLLOW)
    hollows["x"], hollows["y"], hollows["key"] = sites.x, sites.y, sites.uniform(0)
    hollows["a"], hollows["b"] = radius * sites.uniform(3, 1.0, 1.5), radius * sites.uniform(4, 0.7, 1.0)
    hollows["angle"] = np.pi * sites.uniform(5)
    hollows["wall"] = 2.5 + 0.16 * radius
    wobble(hollows, sites, 0.1)
    return hollows


def wall_slots(
    hollows: Blobs, spacing_px: Floats, depth_px: Floats
) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Places for nuclei in the walls, `depth_px` inside the outline: (index of the hollow, x, y, angle of the wall)."""
    slots = []
    for index, outline in enumerate(outlines(hollows, 120)):
        centre = np.array([hollows[index]["x"], hollows[index]["y"]])
        middle = np.linalg.norm(outline - centre, axis=1, keepdims=True)
        line = centre + (outline - centre) * np.maximum(0.15, 1 - depth_px[index] / middle)
        closed = np.vstack([line, line[:1]])
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
        count = max(2, int(along[-1] / spacing_px[index]))
        at = (np.arange(count) + hollows[index]["key"]) / count * along[-1] % along[-1]
        x, y = np.interp(at, along, closed[:, 0]), np.interp(at, along, closed[:, 1])
        ahead = (at + 2.0) % along[-1]
        angle = np.arctan2(np.interp(ahead, along, closed[:, 1]) - y, np.interp(ahead, along, closed[:, 0]) - x)
        slots.append((np.full(count, index), x, y, angle))
    if not slots:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0)
    owner, x, y, angle = (np.concatenate(parts) for parts in zip(*slots, strict=True))
    return owner, x, y, angle


def inside_any(hollows: Blobs, x: Floats, y: Floats, margin_px: float) -> NDArray[np.bool_]:
    """Which points lie inside one of the hollows or closer than `margin_px` to it."""
    hit = np.zeros(len(x), bool)
    for hollow in hollows:
        near = np.flatnonzero(np.hypot(x - hollow["x"], y - hollow["y"]) < reach(hollow) + margin_px)
        hit[near] |= radial(hollow, x[near], y[near])[1] > -margin_px
    return hit
