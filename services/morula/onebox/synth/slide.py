"""A whole synthetic slide, block after block."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.onebox.synth import pyramid
from morula.onebox.synth.noise import Window
from morula.onebox.synth.paint import MARGIN_PX, Canvas
from morula.onebox.synth.pyramid import TILE_PX, Level, Spool
from morula.onebox.synth.scanner import Scanner
from morula.onebox.synth.scene import Scene
from morula.onebox.synth.shapes import Blobs
from morula.onebox.synth.textures import Textures
from morula.onebox.synth.tissue import Layout
from morula.onebox.synth.truth import TruthWriter

MPP = 0.5
BLOCK_PX = TILE_PX * pyramid.STEP  # one tile of the next level
SMALLEST_PX, LARGEST_PX = 256, 120_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Truth:
    """The files that make_slide wrote."""

    slide: Path
    cells: Path
    instances: Path

    @classmethod
    def beside(cls, slide: Path) -> "Truth":
        return cls(slide, slide.with_suffix(".truth.parquet"), slide.with_suffix(".truth.tiff"))


@dataclass(frozen=True)
class Block:
    """What one block gives: pixels and instances of whole tiles, and the cells whose centres lie in it."""

    rgb: NDArray[np.uint8]
    instances: NDArray[np.uint32]
    cells: Blobs
    names: NDArray[np.uint32]


class Artist:
    """Paints any block of one slide; needs no other block for it."""

    def __init__(self, width_px: int, height_px: int, seed: int) -> None:
        self._layout = Layout(width_px, height_px, seed)
        self._textures, self._scanner = Textures.of(seed), Scanner.of(seed)

    def block(self, window: Window) -> Block:
        scene = Scene.around(self._layout, window)
        canvas = Canvas(self._layout, self._textures, window.grown(MARGIN_PX))
        canvas.draw(scene)
        rgb = canvas.rgb(self._scanner, np.random.default_rng([self._layout.seed, window.x0, window.y0]))
        core = (slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
        own = scene.centred_in(window)
        return Block(rgb[core], canvas.instances[core], scene.cells[own], scene.names[own])


def make_slide(out: Path, width_px: int, height_px: int, seed: int, progress: Progress | None = None) -> Truth:
    """Write a synthetic H&E slide and its truth; the same arguments give the same bytes.

    `out` is a pyramidal tiled JPEG TIFF at 0.5 um per pixel that OpenSlide opens. Beside it lie `<stem>.truth.parquet`
    (GeoParquet, one row per nucleus: x_px, y_px, class, instance, geometry) and `<stem>.truth.tiff` (tiled uint32, the
    instance of every pixel, 0 between the nuclei). `progress(done, total)` is called after every block. Raises
    ValueError for arguments that make no slide and OSError where files cannot be written; nothing is left behind then.
    """
    _check(out, width_px, height_px, seed)
    truth = Truth.beside(out)
    with _workshop(out) as folder:
        made = Truth(folder / "slide", folder / "cells", folder / "instances")
        _write(made, folder, width_px, height_px, seed, progress or _silent)
        made.cells.replace(truth.cells)
        made.instances.replace(truth.instances)
        made.slide.replace(truth.slide)  # last: where the slide is, its truth is
    return truth


def _silent(_done: int, _total: int) -> None:
    """Nobody asked how far it is."""


def _check(out: Path, width_px: int, height_px: int, seed: int) -> None:
    for name, size in (("width", width_px), ("height", height_px)):
        if not SMALLEST_PX <= size <= LARGEST_PX:
            raise ValueError(f"{name} must be {SMALLEST_PX} to {LARGEST_PX} px, not {size}")
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed must be 0 to {2**31 - 1}, not {seed}")
    if out.suffix.lower() not in (".tiff", ".tif"):
        raise ValueError(f"the slide's name must end in .tiff or .tif, not {out.suffix or 'nothing'}: {out}")
    if not out.parent.is_dir():
        raise ValueError(f"no such folder: {out.parent}")
    if out.is_dir():
        raise ValueError(f"a folder is in the way: {out}")


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{out.stem}-", dir=out.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _write(made: Truth, folder: Path, width_px: int, height_px: int, seed: int, progress: Progress) -> None:
    artist = Artist(width_px, height_px, seed)
    level0, labels = Spool(folder / "level0", width_px, height_px), Spool(folder / "labels", width_px, height_px)
    level1 = Level(folder, 1, -(-width_px // pyramid.STEP), -(-height_px // pyramid.STEP))
    across, down = -(-width_px // BLOCK_PX), -(-height_px // BLOCK_PX)
    with TruthWriter(made.cells, width_px, height_px) as truth:
        for row in range(down):
            band = Band(min(BLOCK_PX, height_px - row * BLOCK_PX))
            for column in range(across):
                block = artist.block(_block_window(column, row, width_px, height_px))
                truth.add(block.cells, block.names)
                band.add(block)
                progress(row * across + column + 1, across * down)
            truth.end_band()
            band.flush(level0, labels, level1)
    level1.finish()
    pyramid.write_slide(made.slide, [level0, *level1.spools()], MPP)
    pyramid.write_labels(made.instances, labels)


def _block_window(column: int, row: int, width_px: int, height_px: int) -> Window:
    """A block, or as much of it as the slide's whole tiles need."""
    x0, y0 = column * BLOCK_PX, row * BLOCK_PX
    right, bottom = width_px + -width_px % TILE_PX, height_px + -height_px % TILE_PX
    return Window(x0, y0, min(x0 + BLOCK_PX, right), min(y0 + BLOCK_PX, bottom))


class Band:
    """One row of blocks: its tiles, encoded at once, and its rows of the next level."""

    def __init__(self, height_px: int) -> None:
        self._tiles_down = -(-height_px // TILE_PX)
        self._height_px = height_px
        self._rgb: list[list[bytes]] = [[] for _ in range(self._tiles_down)]
        self._labels: list[list[bytes]] = [[] for _ in range(self._tiles_down)]
        self._small: list[NDArray[np.uint8]] = []

    def add(self, block: Block) -> None:
        for row in range(self._tiles_down):
            for column in range(block.rgb.shape[1] // TILE_PX):
                place = (slice(row * TILE_PX, (row + 1) * TILE_PX), slice(column * TILE_PX, (column + 1) * TILE_PX))
                self._rgb[row].append(pyramid.encode_jpeg(block.rgb[place]))
                self._labels[row].append(pyramid.encode_labels(block.instances[place]))
        self._small.append(pyramid.shrunk(block.rgb))

    def flush(self, level0: Spool, labels: Spool, level1: Level) -> None:
        for spool, rows in ((level0, self._rgb), (labels, self._labels)):
            for row in rows:
                spool.put(row)
        small = np.concatenate(self._small, axis=1)[: -(-self._height_px // pyramid.STEP)]
        level1.push(pyramid.padded(small))
