"""Pixels come back bit by bit, and files that lie about them are refused."""

import contextlib
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.errors import ArtifactInvalid, InvalidArgument
from morula.common.pieces import Piece, encode_pieces
from morula.common.pixels import (
    PIXELS_SCHEMA,
    RegionPieces,
    read_pixels_metadata,
    read_regions,
    write_regions,
)

METADATA = {
    "mpp": 0.5,
    "slide_mpp": 0.25,
    "downsample": 2.0,
    "halo_px": 16,
    "calibration": {},
    "tile_px": 64,
    "slide_digest": "d",
}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def region(pieces: list[Piece], index: int = 0, width: int = 40, height: int = 30) -> RegionPieces:
    return RegionPieces(index, -32.0, 64.5, width, height, pieces)


@pytest.mark.parametrize("codec", ["jxl", "raw"])
def test_regions_come_back_bit_by_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr("morula.common.pieces.PIECE_PX", 16)
    pictures = [picture(30, 40, seed) for seed in range(3)]
    regions = [region(encode_pieces(pixels, codec), index) for index, pixels in enumerate(pictures)]  # type: ignore[arg-type]
    path = tmp_path / "pixels.arrow"
    assert write_regions(iter(regions), METADATA, path) == b""
    content = write_regions(regions, METADATA)
    assert content == path.read_bytes()
    for source in (content, path):
        for index, read in enumerate(read_regions(source)):
            assert (read.index, read.x_px, read.y_px, read.downsample, read.halo_px) == (index, -32.0, 64.5, 2.0, 16)
            assert (read.pixels == pictures[index]).all()
        assert read_pixels_metadata(source) == METADATA


def test_a_slide_s_own_jpeg_tiles_are_cut_to_the_region() -> None:
    jpeg = bytes(imagecodecs.jpeg8_encode(picture(64, 64), level=90))
    shown = imagecodecs.jpeg8_decode(jpeg)
    # The tile begins left of and above the region and ends within it; the rest is beyond the slide.
    content = write_regions([region([Piece(-34, -44, 64, 64, "jpeg", jpeg)])], METADATA)
    (read,) = read_regions(content)
    assert (read.pixels[:20, :30] == shown[44:, 34:]).all()
    assert (read.pixels[20:] == 255).all()
    assert (read.pixels[:, 30:] == 255).all()


JPEG = bytes(imagecodecs.jpeg8_encode(picture(8, 8), level=90))
GRAY = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(picture(8, 8)[..., 0]), level=90))


@pytest.mark.parametrize(
    "piece",
    [
        Piece(0, 0, 9, 8, "jpeg", JPEG),
        Piece(0, 0, 8, 8, "jpeg", GRAY),
        Piece(0, 0, 8, 8, "jpeg", JPEG[:20]),
        Piece(0, 0, 8, 8, "jpeg", b""),
        Piece(0, 0, 8, 8, "jxl", b"noise"),
        Piece(0, 0, 8, 8, "raw", b"short"),
        Piece(0, 0, 8, 8, "zip", b""),  # type: ignore[arg-type]
        Piece(40, 0, 8, 8, "jpeg", JPEG),
        Piece(0, -8, 8, 8, "jpeg", JPEG),
        Piece(0, 0, 0, 8, "raw", b""),
        Piece(0, 0, -8, 8, "raw", b""),
        Piece(0, 0, 2**31 - 1, 2**31 - 1, "raw", b""),
    ],
)
def test_pieces_that_are_not_what_they_say_are_refused(piece: Piece) -> None:
    content = write_regions([region([piece])], METADATA)
    with pytest.raises(ArtifactInvalid):
        list(read_regions(content))


@pytest.mark.parametrize(("width", "height"), [(0, 5), (-1, 5), (5, 2**30)])
def test_regions_of_impossible_size_are_refused(width: int, height: int) -> None:
    content = write_regions([region([Piece(0, 0, 8, 8, "jpeg", JPEG)], width=width, height=height)], METADATA)
    with pytest.raises(ArtifactInvalid):
        list(read_regions(content))


def test_a_region_lies_in_one_place() -> None:
    raw = [Piece(0, 0, 8, 8, "jpeg", JPEG)]
    with pytest.raises(ArtifactInvalid):
        list(read_regions(write_regions([region(raw), region(raw)], METADATA)))


def test_what_the_tiler_forgets_is_told_at_once() -> None:
    with pytest.raises(InvalidArgument, match="mpp"):
        write_regions([], {name: value for name, value in METADATA.items() if name != "mpp"})
    with pytest.raises(InvalidArgument, match="pieces"):
        write_regions([region([])], METADATA)


def test_a_shard_without_regions_is_a_file() -> None:
    assert list(read_regions(write_regions([], METADATA))) == []


def test_missing_columns_metadata_and_values_are_refused() -> None:
    def written(schema: pa.Schema, columns: list[list[object]]) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(
                pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
            )
        return bytes(sink.getvalue())

    metadata = {
        b"morula": b'{"mpp":1,"slide_mpp":1,"downsample":1,"halo_px":0,"calibration":{},"tile_px":1,"slide_digest":""}'
    }
    nulls: list[list[object]] = [[None] for _ in PIXELS_SCHEMA]
    short = PIXELS_SCHEMA.remove(0)
    for content in (
        written(PIXELS_SCHEMA, nulls),
        written(PIXELS_SCHEMA.with_metadata(metadata), nulls),
        written(short.with_metadata(metadata), nulls[1:]),
        written(PIXELS_SCHEMA.with_metadata({b"morula": b"{}"}), nulls),
    ):
        with pytest.raises(ArtifactInvalid):
            list(read_regions(content))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_damaged_files_are_refused_or_read(data: st.DataObject) -> None:
    whole = write_regions([region([Piece(0, 0, 8, 8, "jpeg", JPEG)])], METADATA)
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= data.draw(st.integers(1, 255))
    for content in (whole[:place], bytes(damaged), data.draw(st.binary(max_size=100))):
        with contextlib.suppress(ArtifactInvalid):
            list(read_regions(content))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactInvalid):
        list(read_regions(tmp_path / "none"))
