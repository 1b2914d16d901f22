"""What is handed on without being decoded must decode."""

from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from morula.common.testing import draw_tissue
from morula.tiler.pieces import surely_decodes
from morula.tiler.slide import Area, header_of
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
    rng, jpeg, said = np.random.default_rng(4), encoded(1), 0
    failed = 0
    for _ in range(1500):
        tile = broken(jpeg, rng)
        if header_of(tile) == header_of(jpeg) and surely_decodes(tile):
            said += 1
            assert imagecodecs.jpeg8_decode(tile).shape == (256, 256, 3)
        else:
            try:
                imagecodecs.jpeg8_decode(tile)
            except imagecodecs.Jpeg8Error:
                failed += 1
    assert said > 100  # Both answers are put to the test.
    assert failed > 100


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
