"""The plain way from a slide to kept tiles, as the published system goes it, and ours: CPU time of each.

Plain: OpenSlide reads a square of level 0, a picture is resized where the scale asks for it, written as PNG, read
back, and judged by six metrics in their plain formulas.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from morula.common import formats
from morula.tiler import kernels
from morula.tiler.cutting import Plan, cut_shard
from morula.tiler.gates import Gate
from morula.tiler.planning import GridRequest, plan_slide
from morula.tiler.readers import OpenSlideSlide, open_slide
from morula.tiler.selection import Selection
from morula.tiler.slide import Slide

TILE_PX = 512
HALO_PX = 32
REGION_TILES = 4
SHARD_TILES = 64
DIGEST = "0" * 64


@dataclass(frozen=True)
class WayResult:
    """Which tiles one way read and kept, and what it took."""

    cpu_s: float
    read: frozenset[int]
    kept: frozenset[int]

    @property
    def cpu_per_kept_ms(self) -> float:
        return 1000 * self.cpu_s / max(1, len(self.kept))


def plain_way(path: Path, folder: Path, edge_px: int, count: int, seed: int = 0) -> tuple[WayResult, int]:
    """`count` tiles of the grid drawn at random, the plain way, and how many tiles the grid has."""
    with OpenSlideSlide(path) as slide:
        columns, rows = slide.width_px // edge_px, slide.height_px // edge_px
        drawn = np.random.default_rng(seed).permutation(columns * rows)[:count]
        began = time.process_time()
        kept = set()
        for tile in map(int, drawn):
            row, column = divmod(tile, columns)
            picture = Image.fromarray(slide.read(0, column * edge_px, row * edge_px, edge_px, edge_px))
            if edge_px != TILE_PX:
                picture = picture.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
            picture.save(folder / "tile.png")
            with Image.open(folder / "tile.png") as stored:
                if is_kept(np.array(stored)):
                    kept.add(tile)
        return WayResult(time.process_time() - began, frozenset(map(int, drawn)), frozenset(kept)), columns * rows


def is_kept(pixels: NDArray[np.uint8]) -> bool:
    """The published filter."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return bool(
        np.mean(cv2.Canny(grey, 50, 150) > 0) >= 0.02
        and np.mean(grey > 240) <= 0.8
        and np.mean(grey < 15) <= 0.8
        and np.std(grey) >= 10.0
        and cv2.Laplacian(grey, cv2.CV_64F).var() >= 50.0
        and np.var([np.mean(pixels[..., channel]) for channel in range(3)]) >= 5.0
    )


def our_way(path: Path, folder: Path, mpp: float, gate: Gate = "paper") -> WayResult:
    """The whole slide, from opening it to the last shard on disk. Loops are compiled before, as a server does it."""
    kernels.warm()
    began = time.process_time()
    read: set[int] = set()
    kept: set[int] = set()
    with open_slide(path) as slide:
        plan = plan_of(slide, mpp)
        for shard in range(plan.metadata["shard_count"]):
            tiles = formats.read_tiles(cut_shard(slide, plan, shard, gate, folder / "pixels.arrow", lambda: None))
            verdicts = dict(zip(tiles["tile"].to_pylist(), tiles["verdict"].to_pylist(), strict=True))
            read |= verdicts.keys()
            kept |= {tile for tile, verdict in verdicts.items() if verdict == "kept"}
    return WayResult(time.process_time() - began, frozenset(read), frozenset(kept))


def plan_of(slide: Slide, mpp: float) -> Plan:
    """The slide's plan, on the grid of a job."""
    wanted = GridRequest(mpp, TILE_PX, HALO_PX, REGION_TILES, 0, 0, SHARD_TILES)
    return Plan.read(plan_slide(slide, slide.scale.mpp, DIGEST, wanted, Selection(), lambda: None), slide, DIGEST)
