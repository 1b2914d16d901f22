"""A tiled pyramid written as a stream: tiles are encoded as they come and wait in one file per level for their turn."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

TILE_PX = 256
STEP = 4  # from level to level
JPEG_QUALITY = 88
_CLASSIC_TIFF_BYTES = 3_900_000_000


class Spool:
    """Encoded tiles of one level, in order, in one temporary file."""

    def __init__(self, path: Path, width_px: int, height_px: int) -> None:
        self.path, self.width_px, self.height_px = path, width_px, height_px
        self._sizes: list[int] = []

    def put(self, tiles: list[bytes]) -> None:
        with self.path.open("ab") as file:
            file.writelines(tiles)
        self._sizes += [len(tile) for tile in tiles]

    @property
    def size_bytes(self) -> int:
        return sum(self._sizes)

    def tiles(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for size in self._sizes:
                yield file.read(size)


def encode_jpeg(tile: NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(tile), level=JPEG_QUALITY, subsampling="420"))


def encode_exactly(tile: NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.zlib_encode(np.ascontiguousarray(tile).tobytes(), level=1))


def encode_labels(tile: NDArray[np.uint32]) -> bytes:
    return bytes(imagecodecs.zlib_encode(np.ascontiguousarray(tile).astype("<u4").tobytes(), level=1))


Encode = Callable[[NDArray[np.uint8]], bytes]
AS_JPEG: dict[str, Any] = {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)}
EXACTLY: dict[str, Any] = {"compression": "zlib", "photometric": "rgb"}
"""What a file says of tiles by `encode_jpeg` and by `encode_exactly`."""


class Level:
    """One level of the pyramid: takes rows, emits tiles, hands rows of a quarter of the size to the next level."""

    def __init__(self, folder: Path, name: int, width_px: int, height_px: int, *, encode: Encode = encode_jpeg) -> None:
        self.spool = Spool(folder / f"level{name}", width_px, height_px)
        self._encode = encode
        self._rows: list[NDArray[np.uint8]] = []
        small = max(width_px, height_px) <= TILE_PX
        self.next = (
            None if small else Level(folder, name + 1, -(-width_px // STEP), -(-height_px // STEP), encode=encode)
        )

    def push(self, rows: NDArray[np.uint8]) -> None:
        """Take rows from the top down; their width is padded to whole tiles of this level."""
        self._rows.append(rows)
        held = sum(len(r) for r in self._rows)
        if held >= TILE_PX:
            band = np.concatenate(self._rows)
            whole = held - held % TILE_PX
            self._rows = [band[whole:]]
            for top in range(0, whole, TILE_PX):
                self._emit(band[top : top + TILE_PX])

    def _emit(self, band: NDArray[np.uint8]) -> None:
        lefts = range(0, self.spool.width_px, TILE_PX)
        self.spool.put([self._encode(band[:, left : left + TILE_PX]) for left in lefts])
        if self.next is not None:
            self.next.push(padded(shrunk(band)))

    def spools(self) -> list[Spool]:
        """Of this level and all smaller ones."""
        return [self.spool, *(self.next.spools() if self.next is not None else [])]

    def finish(self) -> None:
        """Fill the last row of tiles with a repeat of the last row of pixels."""
        held = sum(len(r) for r in self._rows)
        if held:
            band = np.concatenate(self._rows)
            self._rows = []
            self._emit(np.pad(band, ((0, TILE_PX - held), (0, 0), (0, 0)), mode="edge"))
        if self.next is not None:
            self.next.finish()


def shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (pixels.shape[1] // STEP, pixels.shape[0] // STEP)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def padded(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % TILE_PX), (0, 0)), mode="edge")


def write_slide(path: Path, spools: list[Spool], mpp: float, coding: dict[str, Any] = AS_JPEG) -> None:
    """The levels as one TIFF that OpenSlide opens as a generic tiled TIFF and reads the scale of."""
    with tifffile.TiffWriter(path, bigtiff=sum(s.size_bytes for s in spools) > _CLASSIC_TIFF_BYTES) as tiff:
        for index, spool in enumerate(spools):
            per_cm = 10_000 / (mpp * STEP**index)
            scale = {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER", "subfiletype": int(index > 0)}
            _write_page(tiff, spool, np.uint8, (3,), **coding, **scale)


def write_labels(path: Path, spool: Spool) -> None:
    with tifffile.TiffWriter(path, bigtiff=spool.size_bytes > _CLASSIC_TIFF_BYTES) as tiff:
        _write_page(tiff, spool, np.uint32, (), compression="zlib", photometric="minisblack")


def _write_page(tiff: tifffile.TiffWriter, spool: Spool, dtype: Any, samples: tuple[int, ...], **tags: Any) -> None:
    shape = (spool.height_px, spool.width_px, *samples)
    tiff.write(spool.tiles(), shape=shape, dtype=dtype, tile=(TILE_PX, TILE_PX), metadata=None, software="", **tags)
