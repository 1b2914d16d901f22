"""Doubles that ship: small real things instead of mocks. They are under test themselves."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray

from morula.common.folder import FolderStore
from morula.common.formats import QUALITY_METRICS, Metadata, write_cells, write_plan, write_tiles
from morula.common.geometry import Grid
from morula.common.pieces import encode_pieces
from morula.common.pixels import RegionPieces, write_regions
from morula.common.rpc import Server, channel
from morula.common.settings import ServiceSettings

HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)
REGION_TILE_COUNT = 4


@contextmanager
def temporary_store() -> Iterator[FolderStore]:
    """An empty store that is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="morula-"))
    try:
        yield FolderStore(root)
    finally:
        shutil.rmtree(root)


@asynccontextmanager
async def running(
    *services: object, token: str | None = None, warm: Callable[[], None] | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """A real server with these servicers on a unix socket, and a channel to it."""
    # Not pytest's tmp_path: 107 bytes is all that a socket's path may have.
    folder = tempfile.mkdtemp(prefix="mo-", dir="/tmp")
    address = f"unix:{folder}/s"
    settings = ServiceSettings.model_validate({"address": address, "token": token, "grace_s": 5.0})
    server = Server(settings, services, warm=warm)
    try:
        await server.start()
        async with channel(address, token=token) as client:
            yield client
    finally:
        await server.stop(0)
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Nuclei:
    """Where the nuclei of a picture lie."""

    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    radius_px: NDArray[np.float64]
    label: NDArray[np.int32]
    """Number of the nucleus in each pixel, from 1; 0 is none."""


def draw_tissue(width_px: int, height_px: int, seed: int = 0, spacing_px: int = 28) -> tuple[NDArray[np.uint8], Nuclei]:
    """An H&E-like picture of round blue nuclei that do not touch, on pink tissue with a white margin."""
    rng = np.random.default_rng(seed)
    margin = max(16, min(width_px, height_px) // 8)
    x, y = np.meshgrid(
        np.arange(margin + spacing_px, width_px - margin - spacing_px + 1, spacing_px),
        np.arange(margin + spacing_px, height_px - margin - spacing_px + 1, spacing_px),
    )
    count = x.size
    x_px, y_px = (places.ravel() + rng.uniform(-3, 3, count) for places in (x, y))
    radius_px = rng.uniform(6.0, 9.0, count)
    label = np.zeros((height_px, width_px), np.int32)
    for number in range(count):
        _stamp(label, number + 1, x_px[number], y_px[number], radius_px[number])
    haematoxylin = np.where(label > 0, 0.9, 0.05)
    eosin = np.full(label.shape, 0.35)
    outside = np.ones(label.shape, bool)
    outside[margin : height_px - margin, margin : width_px - margin] = False
    haematoxylin[outside] = eosin[outside] = 0
    density = haematoxylin[..., None] * np.array(HAEMATOXYLIN) + eosin[..., None] * np.array(EOSIN)
    noise = rng.normal(0, 3, (*label.shape, 1))
    picture = np.clip(245 * np.exp(-density) + noise, 0, 255).astype(np.uint8)
    return picture, Nuclei(x_px, y_px, radius_px, label)


def _stamp(label: NDArray[np.int32], number: int, x_px: float, y_px: float, radius_px: float) -> None:
    left, top, reach = int(x_px - radius_px) - 1, int(y_px - radius_px) - 1, int(2 * radius_px) + 4
    rows, columns = np.mgrid[top : top + reach, left : left + reach]
    inside = (columns + 0.5 - x_px) ** 2 + (rows + 0.5 - y_px) ** 2 <= radius_px**2
    label[rows[inside], columns[inside]] = number


def write_slide(path: Path, width_px: int = 1024, height_px: int = 768, *, mpp: float = 0.5, seed: int = 0) -> Nuclei:
    """A tiled JPEG pyramid of two levels that OpenSlide opens; returns where its nuclei lie (level 0)."""
    picture, nuclei = draw_tissue(width_px, height_px, seed)
    write_picture(path, picture, mpp=mpp)
    return nuclei


def write_picture(path: Path, picture: NDArray[np.uint8], *, mpp: float = 0.5) -> None:
    """A picture as such a slide."""
    import tifffile  # only who writes slides needs it

    per_cm = 10_000 / mpp
    with tifffile.TiffWriter(path) as writer:
        for level, step in enumerate((1, 4)):
            writer.write(
                np.ascontiguousarray(picture[::step, ::step]),
                photometric="rgb",
                tile=(256, 256),
                compression="jpeg",
                compressionargs={"level": 95},
                subfiletype=int(level > 0),
                resolution=(per_cm / step, per_cm / step),
                resolutionunit="CENTIMETER",
            )


@dataclass(frozen=True)
class FakeShard:
    """The artifacts of a shard, and what was drawn."""

    grid: Grid
    plan: bytes
    tiles: bytes
    pixels: bytes
    cells: bytes
    nuclei: Nuclei
    metadata: Metadata


def fake_shard(
    *, size_px: int = 512, tile_px: int = 256, halo_px: int = 32, mpp: float = 0.5, seed: int = 0
) -> FakeShard:
    """One shard of kept tiles at level 0, four unless it is larger: plan, tiles, pixels and (square) cells."""
    picture, nuclei = draw_tissue(size_px, size_px, seed)
    grid = Grid(0, 0, tile_px, mpp, mpp, size_px, size_px)
    metadata = _plan_metadata(grid, halo_px)
    boxes = grid.cores().T
    place = {
        "tile": np.arange(grid.tile_count),
        "column": np.arange(grid.tile_count) % grid.columns,
        "row": np.arange(grid.tile_count) // grid.columns,
        **dict(zip(("x_px", "y_px", "width_px", "height_px"), boxes, strict=True)),
        "region": grid.regions_of(np.arange(grid.tile_count), REGION_TILE_COUNT),
        "core": [None] * grid.tile_count,
        "tissue_fraction": np.ones(grid.tile_count, np.float32),
        "fold_fraction": np.zeros(grid.tile_count, np.float32),
    }
    ones = np.ones(grid.tile_count, np.float32)
    planned = {
        "candidate": ones > 0,
        "left_out": [None] * grid.tile_count,
        "shard": np.zeros(grid.tile_count, np.int32),
    }
    plan = write_plan({**place, **planned}, metadata)
    metrics = {"focus": ones * 100, "pen_fraction": ones * 0, **dict.fromkeys(QUALITY_METRICS, ones)}
    verdict = {"verdict": ["kept"] * grid.tile_count, "reasons": [[]] * grid.tile_count}
    counts = {"kept": grid.tile_count, "rejected": 0, "failed": 0}
    tiles = write_tiles({**place, **metrics, **verdict}, {**metadata, **counts})
    return FakeShard(
        grid, plan, tiles, _pixels(picture, grid, halo_px, metadata), _cells(nuclei, grid), nuclei, metadata
    )


def _plan_metadata(grid: Grid, halo_px: int) -> Metadata:
    return {
        "slide_digest": "0" * 64,
        "slide_mpp": grid.slide_mpp,
        "mpp": grid.mpp,
        "level": 0,
        "downsample": grid.downsample,
        "grid": {
            "mpp": grid.mpp,
            "tile_px": grid.tile_px,
            "halo_px": halo_px,
            "region_tile_count": REGION_TILE_COUNT,
            "origin_x_px": grid.origin_x_px,
            "origin_y_px": grid.origin_y_px,
            "width_px": grid.width_px,
            "height_px": grid.height_px,
        },
        "columns": grid.columns,
        "rows": grid.rows,
        "shard_count": 1,
        "candidate_tile_count": grid.tile_count,
        "calibration": {
            "low": [60.0, 30.0, 90.0],
            "high": [245.0, 245.0, 245.0],
            "stain_matrix": [*HAEMATOXYLIN, *EOSIN],
            "stain_assumed": True,
        },
        "verdict": "tissue",
    }


def _pixels(picture: NDArray[np.uint8], grid: Grid, halo_px: int, plan: Metadata) -> bytes:
    framed = np.pad(picture, ((halo_px, halo_px), (halo_px, halo_px), (0, 0)), constant_values=255)
    regions = []
    for number in np.unique(grid.regions_of(np.arange(grid.tile_count), REGION_TILE_COUNT)).tolist():
        window = grid.window(grid.bounds(grid.region_tiles(number, REGION_TILE_COUNT)), halo_px)
        y, x = int(window.y_px) + halo_px, int(window.x_px) + halo_px
        pieces = encode_pieces(framed[y : y + window.height, x : x + window.width], "raw")
        regions.append(RegionPieces(number, window.x_px, window.y_px, window.width, window.height, pieces))
    shared = {name: plan[name] for name in ("mpp", "slide_mpp", "downsample", "calibration", "slide_digest")}
    return write_regions(regions, {**shared, "halo_px": halo_px, "tile_px": grid.tile_px})


def _cells(nuclei: Nuclei, grid: Grid) -> bytes:
    tile = grid.tiles_at(nuclei.x_px, nuclei.y_px)
    order = np.lexsort((nuclei.x_px, nuclei.y_px, tile))
    x, y, radius = nuclei.x_px[order], nuclei.y_px[order], nuclei.radius_px[order]
    count = len(order)
    columns = {
        "x_px": x,
        "y_px": y,
        "x_min_px": x - radius,
        "y_min_px": y - radius,
        "x_max_px": x + radius,
        "y_max_px": y + radius,
        "geometry": [square_wkb(*place) for place in zip(x, y, radius, strict=True)],
        "score": np.ones(count, np.float32),
        "state": ["whole"] * count,
        "tile": tile[order],
        "region": np.zeros(count, np.int32),
        "seam": np.zeros(count, bool),
        "area_um2": (2 * radius * grid.slide_mpp) ** 2,
    }
    scale = {"mpp": grid.mpp, "slide_mpp": grid.slide_mpp, "downsample": grid.downsample}
    counts = {"cell_count": count, "truncated_cell_count": 0, "regions": [0], "truncated_regions": []}
    return write_cells(columns, {**scale, **counts, "model": {"name": "watershed", "revision": "0" * 64}})


def square_wkb(x_px: float, y_px: float, radius_px: float) -> bytes:
    """A square polygon as WKB, without a geometry library."""
    sides = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)], np.float64)
    ring = np.array([x_px, y_px]) + radius_px * sides
    header = np.array([3, 1, len(ring)], "<u4").tobytes()  # polygon, one ring, its points
    return b"\x01" + header + ring.astype("<f8").tobytes()
