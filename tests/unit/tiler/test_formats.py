"""Formats that users bring, written here and read back: the pixels that were meant, their scale, or a clear refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from PIL import ExifTags, Image, ImageOps

from morula.common.errors import SlideUnreadable
from morula.common.testing import draw_tissue
from morula.tiler.planning import GridRequest, plan_slide
from morula.tiler.probe import describe
from morula.tiler.readers import OpenSlideSlide, open_slide
from morula.tiler.selection import Selection
from morula.tiler.slide import Level, Pixels, Slide
from morula.tiler.tiff import TiffSlide

WIDTH_PX, HEIGHT_PX, TILE_PX = 301, 203, 128
PIXELS = draw_tissue(WIDTH_PX, HEIGHT_PX)[0]
HALF = np.asarray(cv2.resize(PIXELS, (150, 101), interpolation=cv2.INTER_AREA), np.uint8)
SCALE: dict[str, Any] = {"resolution": (20_000.0, 20_000.0), "resolutionunit": "CENTIMETER"}
OME: dict[str, Any] = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
TILED: dict[str, Any] = {"tile": (TILE_PX, TILE_PX)}
PLANES = np.ascontiguousarray(np.moveaxis(PIXELS, -1, 0))


def seen(slide: Slide) -> Pixels:
    """All of level 0, after what an upload goes through."""
    describe(slide)
    return slide.read(0, 0, 0, slide.width_px, slide.height_px)


def assert_shown(path: Path, pixels: Pixels = PIXELS, mpp: float = 0.5) -> None:
    with open_slide(path) as slide:
        assert slide.scale.mpp == pytest.approx(mpp)
        np.testing.assert_array_equal(seen(slide), pixels)


def jpeg2000_tiles(pixels: Pixels, side_px: int, is_ycc: bool) -> Iterator[bytes]:
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -height % side_px), (0, -width % side_px), (0, 0)), constant_values=255)
    if is_ycc:
        padded = np.asarray(cv2.cvtColor(padded, cv2.COLOR_RGB2YCrCb), np.uint8)[..., [0, 2, 1]]
    for top in range(0, len(padded), side_px):
        for left in range(0, padded.shape[1], side_px):
            tile = np.ascontiguousarray(padded[top : top + side_px, left : left + side_px])
            options: dict[str, Any] = {"level": 0, "codecformat": "j2k", "mct": not is_ycc, "reversible": True}
            yield bytes(imagecodecs.jpeg2k_encode(tile, **options))


@pytest.mark.parametrize(("compression", "is_ycc"), [(33003, True), (33005, False)])
def test_aperio_in_jpeg_2000_is_read(tmp_path: Path, compression: int, is_ycc: bool) -> None:
    path, side_px = tmp_path / "a.svs", 240
    description = f"Aperio Image Library v11.2.1\n{WIDTH_PX}x{HEIGHT_PX} (240x240) J2K/KDU Q=70|AppMag = 20|MPP = 0.5"
    shared: dict[str, Any] = {"dtype": np.uint8, "tile": (side_px, side_px), "compression": compression}
    shared |= {"photometric": "rgb", "metadata": None, "software": ""}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(jpeg2000_tiles(PIXELS, side_px, is_ycc), shape=PIXELS.shape, description=description, **shared)
        tiff.write(np.full((60, 80, 3), 243, np.uint8), photometric="rgb", metadata=None, software="")
        tiff.write(jpeg2000_tiles(HALF, side_px, is_ycc), shape=HALF.shape, description=description, **shared)
    with open_slide(path) as slide, OpenSlideSlide(path) as oracle:
        assert (slide.vendor, slide.scale.mpp, slide.scale.objective_power) == ("aperio", 0.5, 20)
        assert [(level.width_px, level.height_px) for level in slide.levels] == [(WIDTH_PX, HEIGHT_PX), (150, 101)]
        assert np.abs(seen(slide).astype(int) - PIXELS).max() <= (2 if is_ycc else 0)
        for level in (0, 1):
            place = (level, 0, 0, 140, 90)
            np.testing.assert_array_equal(slide.read(*place), oracle.read(*place))


@pytest.mark.parametrize("layout", [TILED, {"rowsperstrip": 17}], ids=["tiles", "strips"])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "packbits", "lzma", "jpeg2000"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_tiff_is_read_whatever_packs_it(
    tmp_path: Path, compression: str | None, layout: dict[str, Any], bigtiff: bool
) -> None:
    packed = {"compression": compression, "bigtiff": bigtiff, **layout, **SCALE}
    tifffile.imwrite(tmp_path / "a.tiff", PIXELS, photometric="rgb", **packed)
    assert_shown(tmp_path / "a.tiff")


@pytest.mark.parametrize("compression", [None, "jpeg", "jpeg2000"])
def test_a_tiled_ome_tiff_keeps_its_scale_and_its_pyramid(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.ome.tiff"
    shared: dict[str, Any] = {"photometric": "rgb", "compression": compression, **TILED}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
        tiff.write(PIXELS, subifds=1, metadata={"axes": "YXS", **OME}, **shared)
        tiff.write(HALF, subfiletype=1, **shared)
    with open_slide(path) as slide:
        assert (slide.vendor, slide.scale.mpp) == ("ome-tiff", 0.5)
        assert [(level.width_px, level.height_px) for level in slide.levels] == [(WIDTH_PX, HEIGHT_PX), (150, 101)]
        for level, pixels in enumerate((PIXELS, HALF)):
            shown = slide.read(level, 0, 0, pixels.shape[1], pixels.shape[0])
            assert np.abs(shown.astype(int) - pixels).mean() < (6 if compression == "jpeg" else 1e-9)


@pytest.mark.parametrize("layout", [{}, TILED], ids=["flat", "tiles"])
@pytest.mark.parametrize(("axes", "is_ome"), [("SYX", False), ("SYX", True), ("CYX", True)])
def test_colours_in_planes_are_put_together(tmp_path: Path, layout: dict[str, Any], axes: str, is_ome: bool) -> None:
    path = tmp_path / ("a.ome.tiff" if is_ome else "a.tiff")
    of_a_page: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate"}
    options = of_a_page if axes == "SYX" else {"photometric": "minisblack"}  # The second puts each on its own page.
    tifffile.imwrite(path, PLANES, **options, **layout, **({"metadata": {"axes": axes, **OME}} if is_ome else SCALE))
    assert_shown(path)


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "grey of 16 bits": (PIXELS[..., 0].astype(np.uint16) * 16, {"photometric": "minisblack"}, "only 8-bit"),
    "colours of 16 bits": (PIXELS.astype(np.uint16) * 257, {"photometric": "rgb"}, "only 8-bit"),
    "turned": (PIXELS, {"photometric": "rgb", "extratags": [(274, 3, 1, 6, True)]}, "orientation 6"),
    "mirrored": (PIXELS, {"photometric": "rgb", "extratags": [(274, 3, 1, 2, True)]}, "orientation 2"),
    "a stack": (np.stack([PIXELS] * 4), {"photometric": "rgb"}, "a stack"),
    "five dyes": (np.stack([PIXELS[..., 0]] * 5), {"ome": True, "metadata": {"axes": "CYX", **OME}}, "a stack .5 C"),
    "three depths": (np.stack([PIXELS] * 3), {"ome": True, "metadata": {"axes": "ZYXS", **OME}}, "a stack .3 Z"),
}


@pytest.mark.parametrize("layout", [{}, TILED], ids=["flat", "tiles"])
@pytest.mark.parametrize("name", WRONG)
def test_what_a_reader_would_show_wrongly_is_refused(tmp_path: Path, name: str, layout: dict[str, Any]) -> None:
    pixels, options, words = WRONG[name]
    tifffile.imwrite(tmp_path / "odd.tiff", pixels, **options, **layout)
    with pytest.raises(SlideUnreadable, match=f"odd.tiff cannot be read: .*{words}"):
        open_slide(tmp_path / "odd.tiff")


@pytest.mark.parametrize("kind", ["palette", "cmyk"])
def test_palettes_and_printers_colours_are_shown_where_openslide_does(tmp_path: Path, kind: str) -> None:
    if kind == "palette":
        colours = np.random.default_rng(0).integers(0, 256, (3, 256))
        stored, expected = PIXELS[..., 0], colours.astype(np.uint8)[:, PIXELS[..., 0]].transpose(1, 2, 0)
        options: dict[str, Any] = {"photometric": "palette", "colormap": (colours * 257).astype(np.uint16)}
    else:
        stored, expected = np.dstack([255 - PIXELS, np.zeros(PIXELS.shape[:2], np.uint8)]), PIXELS
        options = {"photometric": "separated"}
    tifffile.imwrite(tmp_path / "tiled.tiff", stored, **options, **TILED, **SCALE)
    assert_shown(tmp_path / "tiled.tiff", expected)
    tifffile.imwrite(tmp_path / "flat.tiff", stored, **options, **SCALE)
    with pytest.raises(SlideUnreadable, match="neither grey nor RGB"):
        open_slide(tmp_path / "flat.tiff")


@pytest.mark.parametrize("layout", [{}, TILED], ids=["flat", "tiles"])
def test_what_is_transparent_in_a_tiff_is_white(tmp_path: Path, layout: dict[str, Any]) -> None:
    alpha = np.full(PIXELS.shape[:2], 255, np.uint8)
    alpha[40:90, 50:120] = 0
    stored = np.dstack([np.where(alpha[..., None] == 0, 0, PIXELS), alpha])
    expected = np.where(alpha[..., None] == 0, 255, PIXELS)
    for kind in ("unassalpha", "assocalpha"):
        options: dict[str, Any] = {"photometric": "rgb", "extrasamples": [kind], **layout, **SCALE}
        tifffile.imwrite(tmp_path / f"{kind}.tiff", stored, **options)
        assert_shown(tmp_path / f"{kind}.tiff", expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_its_camera_was_held(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "a.jpg") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    with open_slide(tmp_path / "a.jpg") as slide:
        assert np.abs(seen(slide).astype(int) - expected).max() <= 2, "two decoders may round differently"


@pytest.mark.parametrize(("unit", "mpp"), [("um", 0.5), ("micron", 0.5), ("pixel", 0.0)])
def test_imagej_tells_the_scale_in_its_own_words(tmp_path: Path, unit: str, mpp: float) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True, resolution=(2.0, 2.0), metadata={"unit": unit})
    assert_shown(tmp_path / "a.tif", mpp=mpp)


def leica(path: Path, pixels: Pixels, mpp: float, left_px: int, top_px: int, beyond_px: int) -> Path:
    """A slide of which the scanner looked at a part only, as Leica writes it: places in nanometres of glass."""
    height, width = pixels.shape[:2]
    quarter = np.asarray(cv2.resize(pixels, (width // 4, height // 4), interpolation=cv2.INTER_AREA), np.uint8)
    nm: Callable[[int], int] = lambda length_px: round(length_px * mpp * 1000)  # noqa: E731 - short in the text below
    description = f"""<?xml version="1.0"?>
    <scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection
      sizeX="{nm(left_px + width + beyond_px)}" sizeY="{nm(top_px + height + beyond_px)}"><image>
    <creationDate>2026-01-01T00:00:00Z</creationDate><device model="Leica SCN400" version="1"/>
    <pixels sizeX="{width}" sizeY="{height}"><dimension sizeX="{width}" sizeY="{height}" r="0" ifd="0"/>
      <dimension sizeX="{width // 4}" sizeY="{height // 4}" r="1" ifd="1"/></pixels>
    <view sizeX="{nm(width)}" sizeY="{nm(height)}" offsetX="{nm(left_px)}" offsetY="{nm(top_px)}"/>
    <scanSettings><objectiveSettings><objective>20</objective></objectiveSettings><illuminationSettings>
      <illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>
    </image></collection></scn>"""
    shared: dict[str, Any] = {"photometric": "rgb", "metadata": None, "software": "", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for number, (page, text) in enumerate(((pixels, description), (quarter, None))):
            per_cm = 10_000 / (mpp * 4**number)
            tiff.write(page, description=text, resolution=(per_cm, per_cm), **TILED, **shared)
    return path


def test_glass_that_was_not_scanned_is_left_out_and_places_count_from_the_scanned_corner(tmp_path: Path) -> None:
    pixels = draw_tissue(1024, 768)[0]
    path = leica(tmp_path / "a.scn", pixels, 0.5, left_px=300, top_px=500, beyond_px=640)
    with openslide.OpenSlide(path) as whole:
        assert whole.dimensions == (300 + 1024 + 640, 500 + 768 + 640)
        assert whole.properties[openslide.PROPERTY_NAME_BOUNDS_X] == "300"
    with open_slide(path) as slide:
        assert (slide.vendor, slide.scale.mpp) == ("leica", 0.5)
        assert slide.levels == (Level(1024, 768, 1.0), Level(256, 192, 4.0))
        np.testing.assert_array_equal(seen(slide), pixels)
        quarter = cv2.resize(pixels, (256, 192), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(slide.read(1, 0, 0, 256, 192), quarter)
        assert slide.read(0, -40, -40, 40, 40).min() == 255
        wanted = GridRequest(0.5, 256, 32, 2, 0, 0, 64)
        assert len(plan_slide(slide, 0.5, "0" * 64, wanted, Selection(), lambda: None)) > 0


def test_a_scanned_part_that_does_not_lie_on_the_slide_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leica(tmp_path / "a.scn", PIXELS[:200, :300], 0.5, left_px=20, top_px=30, beyond_px=10)
    monkeypatch.setattr(openslide, "PROPERTY_NAME_BOUNDS_X", openslide.PROPERTY_NAME_BOUNDS_WIDTH)
    with OpenSlideSlide(path) as slide:
        assert (slide.width_px, slide.height_px) == (20 + 300 + 10, 30 + 200 + 10)


def test_the_direct_reader_refuses_by_itself_too(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", PIXELS.astype(np.uint16), photometric="rgb")
    with pytest.raises(SlideUnreadable, match="8-bit"):
        TiffSlide(tmp_path / "a.tiff")
