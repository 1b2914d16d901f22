"""What is handed on without being decoded must decode."""

import cv2
import imagecodecs
import numpy as np

from morula.common.testing import draw_tissue
from morula.tiler.pieces import SCAN, decodes_after


def encoded(seed: int, **options: object) -> bytes:
    tile = np.ascontiguousarray(draw_tissue(256, 256, seed)[0])
    return bytes(imagecodecs.jpeg8_encode(tile, level=80, subsampling="420", **options))


def header(seed: int) -> bytes:
    jpeg = encoded(seed)
    return jpeg[: jpeg.index(SCAN) + 2]


def broken(jpeg: bytes, rng: np.random.Generator) -> bytes:
    """A run of its bytes replaced, by others or by zeros."""
    found = bytearray(jpeg)
    start, length = int(rng.integers(0, len(found))), int(rng.choice([1, 2, 8, 300]))
    highest = rng.choice([1, 256])
    found[start : start + length] = rng.integers(0, highest, len(found[start : start + length]), np.uint8).tobytes()
    return bytes(found)


def test_tiles_of_one_header_are_known_to_decode() -> None:
    model = header(0)
    assert all(decodes_after(model, encoded(seed)) for seed in range(1, 5))


def test_what_is_said_to_decode_decodes_however_it_is_broken() -> None:
    rng, model, jpeg, said = np.random.default_rng(4), header(0), encoded(1), 0
    failed = 0
    for _ in range(1500):
        tile = broken(jpeg, rng)
        if decodes_after(model, tile):
            said += 1
            assert imagecodecs.jpeg8_decode(tile).shape == (256, 256, 3)
        else:
            try:
                imagecodecs.jpeg8_decode(tile)
            except imagecodecs.Jpeg8Error:
                failed += 1
    assert said > 100  # Both answers are put to the test.
    assert failed > 100


def test_other_headers_and_cut_off_tiles_are_not_taken_for_granted() -> None:
    model = header(0)
    smaller = cv2.resize(draw_tissue(256, 256, 1)[0], (128, 128))
    other = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(smaller), level=80, subsampling="420"))
    for jpeg in (other, encoded(1, optimize=True), encoded(1)[:-40], b""):
        assert not decodes_after(model, jpeg)
    assert not decodes_after(b"", encoded(0))
