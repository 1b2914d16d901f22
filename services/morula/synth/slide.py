"""A whole synthetic slide, block after block."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.synth import pyramid
from morula.synth.artefacts import Artefacts
from morula.synth.fabric import Fabric, fabric_of
from morula.synth.noise import Window
from morula.synth.paint import MARGIN_PX, Canvas
from morula.synth.pyramid import TILE_PX, Level, Spool
from morula.synth.scanner import Scanner
from morula.synth.scene import Scene
from morula.synth.shapes import Blobs, enlarged
from morula.synth.splits import SEED_LIMIT
from morula.synth.textures import Textures
from morula.synth.tissue import Layout
from morula.synth.truth import CELL_FIELDS, REGION_FIELDS, TruthWriter, cell_columns, region_columns

MPP = 0.5
MPPS = (0.5, 0.25)
TISSUE_FRACTIONS = (0.01, 0.9)
BLOCK_PX = TILE_PX * pyramid.STEP  # one tile of the next level
SMALLEST_PX, LARGEST_PX = 256, 120_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Truth:
    """The files that make_slide wrote."""

    slide: Path
    cells: Path
    instances: Path
    fabric: Path
    artefacts: Path

    @classmethod
    def beside(cls, slide: Path) -> "Truth":
        endings = (".parquet", ".tiff", ".fabric.parquet", ".artefacts.parquet")
        return cls(slide, *(slide.with_suffix(f".truth{ending}") for ending in endings))


@dataclass(frozen=True)
class Order:
    """What slide is wanted; the same order gives the same bytes."""

    width_px: int
    height_px: int
    seed: int
    mpp: float = MPP
    tissue_fraction: float | None = None
    """Share of the slide that is tissue; as the seed has it (0.54 to 0.66) where not given."""
    artefacts: bool = False
    """Pen, folds and fields out of focus."""

    @property
    def zoom(self) -> int:
        """Pixels to one that is painted: tissue is painted at 0.5 um per pixel."""
        return round(MPP / self.mpp)

    def check(self) -> None:
        for name, size in (("width", self.width_px), ("height", self.height_px)):
            if not SMALLEST_PX <= size <= LARGEST_PX:
                raise ValueError(f"{name} must be {SMALLEST_PX} to {LARGEST_PX} px, not {size}")
        if not 0 <= self.seed < SEED_LIMIT:
            raise ValueError(f"seed must be 0 to {SEED_LIMIT - 1}, not {self.seed}")
        if self.mpp not in MPPS:
            raise ValueError(f"mpp must be one of {MPPS}, not {self.mpp}")
        low, high = TISSUE_FRACTIONS
        if self.tissue_fraction is not None and not low <= self.tissue_fraction <= high:
            raise ValueError(f"tissue fraction must be {low} to {high}, not {self.tissue_fraction}")


@dataclass(frozen=True)
class Block:
    """What one block gives: pixels and instances of whole tiles, and the cells whose centres lie in it."""

    rgb: NDArray[np.uint8]
    instances: NDArray[np.uint32]
    cells: Blobs
    names: NDArray[np.uint32]
    fabric: list[Fabric]


class Artist:
    """Paints any block of one slide; needs no other block for it."""

    def __init__(self, order: Order) -> None:
        self.zoom = order.zoom
        width_px, height_px = -(-order.width_px // self.zoom), -(-order.height_px // self.zoom)
        self._layout = Layout(width_px, height_px, order.seed, order.tissue_fraction)
        self._textures, self._scanner = Textures.of(order.seed), Scanner.of(order.seed)
        self.artefacts = Artefacts.of(self._layout) if order.artefacts else Artefacts.none()

    def block(self, window: Window) -> Block:
        """A window's corners must be on whole tiles."""
        x0, y0, x1, y1 = (side // self.zoom for side in (window.x0, window.y0, window.x1, window.y1))
        painted = Window(x0, y0, x1, y1)
        scene = Scene.around(self._layout, painted)
        canvas = Canvas(self._layout, self._textures, painted.grown(MARGIN_PX))
        canvas.draw(scene)
        light = canvas.light(self._scanner, self.artefacts)
        rgb = self._scanner.see(light, np.random.default_rng([self._layout.seed, x0, y0]), self.zoom)
        instances = canvas.instances.repeat(self.zoom, axis=0).repeat(self.zoom, axis=1)
        margin_px = MARGIN_PX * self.zoom
        core = (slice(margin_px, -margin_px), slice(margin_px, -margin_px))
        own = scene.centred_in(painted)
        cells = enlarged(scene.cells[own], self.zoom)
        return Block(rgb[core], instances[core], cells, scene.names[own], list(fabric_of(self._layout, painted)))


def make_slide(
    out: Path,
    width_px: int,
    height_px: int,
    seed: int,
    progress: Progress | None = None,
    *,
    mpp: float = MPP,
    tissue_fraction: float | None = None,
    artefacts: bool = False,
) -> Truth:
    """Write a synthetic H&E slide and its truth; the same arguments give the same bytes.

    `out` is a pyramidal tiled JPEG TIFF at 0.5 or 0.25 um per pixel that OpenSlide opens. Beside it lie
    `<stem>.truth.parquet` (GeoParquet, one row per nucleus: x_px, y_px, class, instance, geometry),
    `<stem>.truth.tiff` (tiled uint32, the instance of every pixel, 0 between the nuclei), and, as GeoParquet of kind
    and geometry, `<stem>.truth.fabric.parquet` (muscle fibres, fat cells) and `<stem>.truth.artefacts.parquet` (pen,
    fold, blur; no rows where none are wanted). Nuclei below an artefact stay in the truth. `progress(done, total)` is
    called after every block. Which seeds are for what stands in SPLITS. Raises ValueError for arguments that make no
    slide and OSError where files cannot be written; nothing is left behind then.
    """
    order = Order(width_px, height_px, seed, mpp, tissue_fraction, artefacts)
    order.check()
    _check(out)
    truth = Truth.beside(out)
    with _workshop(out) as folder:
        made = Truth(*(folder / name for name in vars(truth)))
        _write(made, folder, order, progress or _silent)
        for name in ("cells", "instances", "fabric", "artefacts", "slide"):  # the slide last: where it is, its truth is
            getattr(made, name).replace(getattr(truth, name))
    return truth


def _silent(_done: int, _total: int) -> None:
    """Nobody asked how far it is."""


def _check(out: Path) -> None:
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


def _write(made: Truth, folder: Path, order: Order, progress: Progress) -> None:
    artist, size_px = Artist(order), (order.width_px, order.height_px)
    level0, labels = Spool(folder / "level0", *size_px), Spool(folder / "labels", *size_px)
    level1 = Level(folder, 1, *(-(-side // pyramid.STEP) for side in size_px))
    across, down = (-(-side // BLOCK_PX) for side in size_px)
    with (
        TruthWriter(made.cells, CELL_FIELDS, *size_px) as cells,
        TruthWriter(made.fabric, REGION_FIELDS, *size_px) as fabric,
        TruthWriter(made.artefacts, REGION_FIELDS, *size_px) as artefacts,
    ):
        for kind, outline in artist.artefacts.regions():
            artefacts.add(region_columns(kind, [outline], order.zoom))
        artefacts.end_band()
        for row in range(down):
            band = Band(min(BLOCK_PX, order.height_px - row * BLOCK_PX))
            for column in range(across):
                block = artist.block(_block_window(column, row, *size_px))
                _tell(block, cells, fabric, order.zoom)
                band.add(block)
                progress(row * across + column + 1, across * down)
            cells.end_band()
            fabric.end_band()
            band.flush(level0, labels, level1)
    level1.finish()
    pyramid.write_slide(made.slide, [level0, *level1.spools()], order.mpp)
    pyramid.write_labels(made.instances, labels)


def _tell(block: Block, cells: TruthWriter, fabric: TruthWriter, zoom: int) -> None:
    if len(block.cells):
        cells.add(cell_columns(block.cells, block.names))
    for tissue in block.fabric:
        fabric.add(region_columns(tissue.kind, tissue.outlines, zoom))


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
