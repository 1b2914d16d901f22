"""What is handed on without being decoded must decode."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from morula.common.errors import SlideUnreadable
from morula.common.jpeg import header_of
from morula.common.testing import draw_tissue
from morula.tiler.pieces import surely_decodes
from morula.tiler.slide import Area
from morula.tiler.tiff import TiffSlide


def encoded(seed: int, **options: object) -> bytes:
    tile = np.ascontiguousarray(draw_tissue(256, 256, seed)[0])
    return bytes(imagecodecs.jpeg8_encode(tile, level=80, subsampling="420", **options))


def broken(jpeg: bytes, rng: np.random.Generator) -> bytes:
    """A run of its bytes replaced, by others or by zeros."""
    found = bytearray(jpeg)
    start, length = int(rng.integers(0, len(found))), int(rng.choice([1, 2, 8, 300]))
    highest = rng.choice([1, 256])
    found[start : start + length] = rng.integers(0, highest, len(found[start : start + length]), np.uint8).tobytes()
    return bytes(found)


def test_whole_tiles_are_known_to_decode() -> None:
    assert all(surely_decodes(encoded(seed)) for seed in range(1, 5))


def test_what_is_said_to_decode_decodes_however_it_is_broken() -> None:
    rng, jpeg, refused = np.random.default_rng(4), encoded(1), 0
    failed = 0
    for _ in range(1500):
        tile = broken(jpeg, rng)
        if header_of(tile) == header_of(jpeg) and surely_decodes(tile):
            refused += 1
            assert imagecodecs.jpeg8_decode(tile).shape == (256, 256, 3)
        else:
            try:
                imagecodecs.jpeg8_decode(tile)
            except imagecodecs.Jpeg8Error:
                failed += 1
    assert refused > 100  # Both answers are put to the test.
    assert failed > 100


def test_no_damage_to_the_scans_header_goes_unnoticed() -> None:
    jpeg, header = encoded(1), header_of(encoded(0))
    scan = jpeg.index(b"\xff\xda")
    for place in range(scan, scan + 15):
        for value in (0, 9, 13, 0x33, 64, 255):
            damaged = jpeg[:place] + bytes([value]) + jpeg[place + 1 :]
            if damaged.startswith(header) and surely_decodes(damaged):
                assert imagecodecs.jpeg8_decode(damaged).shape == (256, 256, 3)


def test_cut_off_tiles_are_not_taken_for_granted() -> None:
    for jpeg in (encoded(1)[:-40], header_of(encoded(1)), b"\xff\xd8\xff\xd9", b""):
        assert not surely_decodes(jpeg)


def test_tiles_of_one_header_stand_alone_once_one_does(tmp_path: Path) -> None:
    picture = draw_tissue(1024, 512, 2)[0]
    path = tmp_path / "slide.tiff"
    tifffile.imwrite(
        path, picture, tile=(256, 256), compression="jpeg", photometric="ycbcr", resolution=(20_000, 20_000)
    )
    with TiffSlide(path) as slide:
        first, second, *_ = slide.jpeg_tiles(0, Area(0, 0, 1024, 512)) or ()
        other = first._replace(jpeg=encoded(3, optimize=True))
        assert not slide.stands_alone(0, first._replace(jpeg=None))
        assert not slide.stands_alone(0, other)  # Its pixels are not the file's.
        assert not slide.stands_alone(0, second._replace(jpeg=header_of(second.jpeg or b"")))
        assert slide.stands_alone(0, first)
        assert slide.stands_alone(0, second)
        assert not slide.stands_alone(0, other)


@pytest.mark.parametrize(
    ("tag", "value"), [("TileByteCounts", 2**40), ("TileByteCounts", 2**63), ("TileOffsets", 2**63)]
)
def test_an_index_that_points_past_the_end_makes_one_tile_unreadable(tmp_path: Path, tag: str, value: int) -> None:
    path = tmp_path / "slide.tiff"
    picture = draw_tissue(512, 512, 2)[0]
    tifffile.imwrite(path, picture, bigtiff=True, tile=(256, 256), compression="jpeg", photometric="rgb")
    with tifffile.TiffFile(path) as tiff:
        found = tiff.pages.first.tags[tag]
        code, place = ("<Q", 8) if found.dtype == tifffile.DATATYPE.LONG8 else ("<I", 4)
        place = found.valueoffset + place
    with path.open("r+b") as file:
        file.seek(place)
        file.write(struct.pack(code, min(value, 2 ** (8 * struct.calcsize(code)) - 1)))
    with TiffSlide(path) as slide:
        assert np.abs(slide.read(0, 0, 0, 256, 256).astype(int) - picture[:256, :256]).mean() < 10
        with pytest.raises(SlideUnreadable):
            slide.read(0, 256, 0, 256, 256)


def test_what_is_cut_off_a_tile_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "slide.tiff"
    tifffile.imwrite(path, draw_tissue(16, 2048, 2)[0], tile=(512, 512), compression="jpeg", photometric="rgb")
    with TiffSlide(path) as slide:
        assert min(slide.width_px, slide.height_px) == 16
        slide.read(0, 0, 0, slide.width_px, slide.height_px)
        kept = [segment.pixels for segment in slide._segments._kept.values()]
        assert len(kept) == 4
        assert all(pixels.base is None for pixels in kept)


def test_a_scan_in_a_comment_proves_nothing_of_a_tile(tmp_path: Path) -> None:
    comment = b"\xff\xfe\x00\x04\xff\xda"
    path = tmp_path / "slide.tiff"
    tifffile.imwrite(path, draw_tissue(512, 512, 2)[0], tile=(256, 256), compression="jpeg", photometric="rgb")
    with TiffSlide(path) as slide:
        first, *_ = slide.jpeg_tiles(0, Area(0, 0, 512, 512)) or ()
        assert slide.stands_alone(0, first._replace(jpeg=(first.jpeg or b"")[:2] + comment + (first.jpeg or b"")[2:]))
        other = bytes(imagecodecs.jpeg8_encode(np.zeros((512, 128, 3), np.uint8), level=80, subsampling="420"))
        assert not slide.stands_alone(0, first._replace(jpeg=other[:2] + comment + other[2:]))
