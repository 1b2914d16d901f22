"""Reading slides: both readers against each other and against what was written."""

import os
import resource
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from morula.common.errors import Cancelled, SlideUnreadable
from morula.common.testing import draw_tissue, write_slide
from morula.tiler import readers
from morula.tiler.probe import describe, probe
from morula.tiler.readers import open_slide
from morula.tiler.slide import Area, Level, Pixels, Scale, Slide, blank, on_white, paste, scale_of
from morula.tiler.tiff import TiffSlide

SLIDES = Path(os.environ.get("MORULA_DATA", "../shared/data")) / "slides"


class ArraySlide(Slide):
    """A slide in memory, one level."""

    def __init__(self, pixels: Pixels, *downsamples: int) -> None:
        self.pixels = [np.ascontiguousarray(pixels[::step, ::step]) for step in (1, *downsamples)]
        levels = (Level(p.shape[1], p.shape[0], pixels.shape[1] / p.shape[1]) for p in self.pixels)
        super().__init__("array", Scale(0.5), tuple(levels))
        self.read_levels: list[int] = []

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        self.read_levels.append(level)
        out = blank(width_px, height_px)
        paste(out, self.pixels[level], -x_px, -y_px)
        return out

    def close(self) -> None: ...


def ramp(width: int, height: int) -> Pixels:
    """Red tells x, green tells y."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.zeros_like(x)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("mpp", "power", "expected"),
    [
        ((0.25, 0.25), 40, Scale(0.25, 40)),
        ((0.0, 0.0), 40, Scale(0.25, 40, assumed=True)),
        ((352.8, 352.8), 0, Scale()),
        ((352.8, 352.8), 20, Scale(0.5, 20, assumed=True)),
        ((0.0, 0.0), 0, Scale()),
        ((float("nan"), 0.25), 0, Scale()),
    ],
)
def test_scale_comes_from_pixels_then_the_objective_and_never_from_a_screen(
    mpp: tuple[float, float], power: float, expected: Scale
) -> None:
    assert scale_of(*mpp, power) == expected


@pytest.mark.parametrize("downsample", [0.37, 1.0, 1.7, 2.0, 3.3, 8.0])
def test_scaled_pixels_show_what_lies_at_their_place(downsample: float) -> None:
    slide = ArraySlide(ramp(256, 256))
    x0, y0, width, height = 20.3, 11.8, 16, 12
    seen = slide.read_scaled(x0, y0, downsample, width, height).astype(float)
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    # A level-0 pixel i shows the value i, at its centre i + 0.5.
    np.testing.assert_allclose(seen[..., 0], np.clip(x0 + u * downsample - 0.5, 0, 255), atol=1.1)
    np.testing.assert_allclose(seen[..., 1], np.clip(y0 + v * downsample - 0.5, 0, 255), atol=1.1)


def test_a_large_area_is_read_in_blocks_without_seams() -> None:
    slide = ArraySlide(ramp(6000, 300))
    seen = slide.read_scaled(0, 0, 1.37, 4300, 100).astype(int)
    assert len(slide.read_levels) > 1
    assert np.abs(np.diff(seen[..., 0], axis=1)).max() <= 1


def test_the_coarsest_level_with_all_detail_is_read() -> None:
    slide = ArraySlide(ramp(512, 512), 2, 8)
    for downsample, level in ((0.5, 0), (1.0, 0), (1.9, 0), (2.0, 1), (7.9, 1), (8.0, 2), (100.0, 2)):
        assert slide.level_for(downsample) == level


def test_beyond_the_edge_is_white() -> None:
    slide = ArraySlide(np.zeros((64, 64, 3), np.uint8))
    seen = slide.read_scaled(-32.0, -32.0, 2.0, 64, 64)
    assert seen[:15].min() == 255
    assert seen[17:47, 17:47].max() == 0
    assert seen[49:].min() == 255


def written(path: Path, pixels: Pixels, **options: object) -> Slide:
    tifffile.imwrite(path, pixels, **options)  # type: ignore[arg-type]
    return TiffSlide(path)


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb", "tile": (64, 48)},
        {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "predictor": True},
        {"photometric": "rgb", "rowsperstrip": 7, "compression": "lzw"},
        {"photometric": "rgb", "tile": (64, 64), "bigtiff": True, "compression": "zstd"},
        {"photometric": "rgb"},
    ],
)
def test_plain_tiff_is_read_exactly(tmp_path: Path, options: dict[str, object]) -> None:
    pixels = draw_tissue(157, 133)[0]
    with written(tmp_path / "a.tiff", pixels, **options) as slide:
        assert (slide.width_px, slide.height_px) == (157, 133)
        np.testing.assert_array_equal(slide.read(0, 0, 0, 157, 133), pixels)
        beyond = slide.read(0, 100, -20, 90, 60)
        np.testing.assert_array_equal(beyond[20:, :57], pixels[:40, 100:])
        assert beyond[:20].min() == 255
        assert beyond[:, 57:].min() == 255
        assert slide.read(0, 500, 500, 10, 10).min() == 255


def test_grey_tiff_is_shown_as_grey_and_alpha_is_left_out(tmp_path: Path) -> None:
    grey = draw_tissue(90, 70)[0][..., 0].copy()
    with written(tmp_path / "grey.tiff", grey, photometric="minisblack", tile=(32, 32)) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 90, 70), np.repeat(grey[..., None], 3, axis=2))
    rgba = np.dstack([draw_tissue(90, 70)[0], np.full((70, 90), 255, np.uint8)])
    with written(tmp_path / "rgba.tiff", rgba, photometric="rgb", extrasamples=["unassalpha"]) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 90, 70), rgba[..., :3])


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (np.zeros((20, 20, 3), np.uint16), {"photometric": "rgb"}, "8-bit"),
        (np.zeros((20, 20, 5), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "neither"),
    ],
)
def test_pixels_that_would_be_shown_wrongly_are_refused(
    tmp_path: Path, pixels: Pixels, options: dict[str, object], words: str
) -> None:
    tifffile.imwrite(tmp_path / "odd.tiff", pixels, **options)  # type: ignore[arg-type]
    with pytest.raises(SlideUnreadable, match=words):
        TiffSlide(tmp_path / "odd.tiff")


def test_scale_of_ome_and_of_resolution_tags(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    ome = {
        "axes": "YXS",
        "PhysicalSizeX": 0.00025,
        "PhysicalSizeXUnit": "mm",
        "PhysicalSizeY": 250,
        "PhysicalSizeYUnit": "nm",
    }
    with written(tmp_path / "a.ome.tiff", pixels, photometric="rgb", metadata=ome) as slide:
        assert slide.vendor == "ome-tiff"
        assert slide.scale.mpp == pytest.approx(0.25)
    tags = {"resolution": (25_400 / 0.5, 25_400 / 0.5), "resolutionunit": "INCH"}
    with written(tmp_path / "b.tiff", pixels, photometric="rgb", **tags) as slide:
        assert slide.scale.mpp == pytest.approx(0.5)
    with written(tmp_path / "c.tiff", pixels, photometric="rgb") as slide:
        assert slide.scale == Scale()


def test_a_single_pixel_is_a_slide(tmp_path: Path) -> None:
    with written(tmp_path / "one.tiff", np.full((1, 1, 3), 77, np.uint8), photometric="rgb") as slide:
        assert describe(slide).levels == (Level(1, 1, 1.0),)
        assert slide.read(0, 0, 0, 1, 1).tolist() == [[[77, 77, 77]]]


def test_both_readers_see_the_same(tmp_path: Path) -> None:
    path = tmp_path / "slide.tiff"
    write_slide(path, 900, 700)
    with readers.OpenSlideSlide(path) as one, TiffSlide(path) as other:
        assert one.vendor == "generic-tiff"
        assert one.scale.mpp == pytest.approx(other.scale.mpp)
        assert [level.downsample for level in one.levels] == [level.downsample for level in other.levels]
        for level in range(2):
            whole = (level, -10, -10, 500, 400)
            np.testing.assert_array_equal(one.read(*whole), other.read(*whole))


def test_openslide_is_left_out_only_where_that_shows_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slide.tiff"
    write_slide(path, 500, 400)
    with open_slide(path) as slide:
        assert isinstance(slide, TiffSlide)
        assert slide.vendor == "generic-tiff"
        assert slide.scale.mpp == pytest.approx(0.5)
    honest = TiffSlide.read

    def lying(self: TiffSlide, *place: int) -> Pixels:
        return np.asarray(255 - honest(self, *place), np.uint8)

    monkeypatch.setattr(TiffSlide, "read", lying)
    with open_slide(path) as slide:
        assert isinstance(slide, readers.OpenSlideSlide)


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_a_files_own_jpeg_tiles_stand_alone(tmp_path: Path, photometric: str) -> None:
    pixels = draw_tissue(500, 400)[0]
    options = {"tile": (128, 128), "compression": "jpeg", "compressionargs": {"level": 90}}
    if photometric == "rgb":
        options["compressionargs"] = {"level": 90, "outcolorspace": "rgb"}
    with written(tmp_path / "a.tiff", pixels, photometric=photometric, **options) as slide:
        tiles = list(slide.jpeg_tiles(0, Area(100, 200, 400, 100)) or ())
        assert [tile.area[:2] for tile in tiles] == [(x, y) for y in (128, 256) for x in (0, 128, 256, 384)]
        for tile in tiles:
            if tile.area.x_px == 384:
                assert tile.jpeg is None, "what lies beyond the slide is not handed on"
            else:
                assert tile.jpeg is not None
                np.testing.assert_array_equal(imagecodecs.jpeg8_decode(tile.jpeg), slide.read(0, *tile.area))
    with written(tmp_path / "b.tiff", pixels, photometric="rgb", tile=(128, 128)) as slide:
        assert slide.jpeg_tiles(0, Area(0, 0, 10, 10)) is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_is_a_slide_without_scale(tmp_path: Path, channels: int) -> None:
    pixels = draw_tissue(90, 70)[0]
    opaque = np.full((70, 90, 1), 255, np.uint8)
    encoded = {1: pixels[..., 0], 2: np.dstack([pixels[..., :1], opaque]), 3: pixels, 4: np.dstack([pixels, opaque])}
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(encoded[channels])))
    expected = pixels if channels > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    with open_slide(tmp_path / "a.png") as slide:
        assert (slide.vendor, slide.scale, slide.levels) == ("png", Scale(), (Level(90, 70, 1.0),))
        np.testing.assert_array_equal(slide.read(0, -5, -5, 95, 75)[5:, 5:], expected)


def test_a_jpeg_is_read_and_a_picture_that_is_none_is_refused(tmp_path: Path) -> None:
    jpeg = imagecodecs.jpeg8_encode(draw_tissue(90, 70)[0])
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with open_slide(tmp_path / "a.jpg") as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 90, 70), imagecodecs.jpeg8_decode(jpeg))
    (tmp_path / "b.jpg").write_bytes(jpeg[:20])
    deep = imagecodecs.png_encode(np.zeros((8, 8, 3), np.uint16))
    (tmp_path / "c.png").write_bytes(deep)
    (tmp_path / "d.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "e.jpg").write_bytes(b"")
    for name in ("b.jpg", "c.png", "d.jpg", "e.jpg"):
        with pytest.raises(SlideUnreadable, match=name):
            open_slide(tmp_path / name)


def test_a_slide_stays_readable_after_a_tile_that_is_not(tmp_path: Path) -> None:
    path = tmp_path / "holed.tiff"
    write_slide(path, 900, 700)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 200)
    for slide in (readers.OpenSlideSlide(path), TiffSlide(path)):
        with slide:
            with pytest.raises(SlideUnreadable):
                slide.read(0, 0, 0, 64, 64)
            assert slide.read(0, 600, 400, 64, 64).std() > 0


def test_transparent_pixels_are_white() -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[0, 1] = (100, 100, 100, 128)
    np.testing.assert_array_equal(on_white(rgba)[0], [[10, 20, 30], [177, 177, 177]])
    assert on_white(rgba)[1].min() == 255


def test_a_reader_that_crashes_or_hangs_costs_only_its_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slide.tiff"
    write_slide(path, 300, 300)
    assert probe(path).vendor == "generic-tiff"
    with pytest.raises(SlideUnreadable, match="within"):
        probe(path, wall_s=0.001)
    monkeypatch.setattr("morula.tiler.probe.sys.executable", "/bin/false")
    with pytest.raises(SlideUnreadable, match="made the reader fail"):
        probe(path)
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY, "only the child is limited"


def test_a_reader_ends_when_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, endless = tmp_path / "slide.tiff", tmp_path / "endless"
    path.touch()
    endless.write_text("#!/bin/sh\necho $$ > " + str(tmp_path / "pid") + "\nexec sleep 600\n")
    endless.chmod(0o700)
    monkeypatch.setattr("morula.tiler.probe.sys.executable", str(endless))

    def gone() -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
            raise Cancelled

    with pytest.raises(Cancelled):
        probe(path, (), gone)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("ending", "words"), [("kill -XCPU $$", "more than 30 s of work"), ("exit 7", r"made the reader fail \(exit 7\)")]
)
def test_how_a_reader_ended_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, words: str
) -> None:
    path, reader = tmp_path / "slide.tiff", tmp_path / "reader"
    path.touch()
    reader.write_text(f"#!/bin/sh\n{ending}\n")
    reader.chmod(0o700)
    monkeypatch.setattr("morula.tiler.probe.sys.executable", str(reader))
    with pytest.raises(SlideUnreadable, match=f"slide.tiff .*{words}"):
        probe(path)


@pytest.fixture
def slides() -> Path:
    if not SLIDES.is_dir():
        pytest.skip(f"no real data at {SLIDES} (set MORULA_DATA)")
    return SLIDES


def test_tiff_reader_equals_openslide_on_real_pyramids(slides: Path) -> None:
    for path in sorted((slides / "derived").glob("*.tiff")):
        with readers.OpenSlideSlide(path) as one, TiffSlide(path) as other:
            assert other.scale.mpp == pytest.approx(one.scale.mpp)
            box = (0, 0, 0, one.width_px, one.height_px)
            np.testing.assert_array_equal(one.read(*box), other.read(*box))


def test_real_aperio_tiles_stand_alone(slides: Path) -> None:
    with open_slide(slides / "real/CMU-1-Small-Region.svs") as slide:
        assert isinstance(slide, TiffSlide)
        tiles = list(slide.jpeg_tiles(0, Area(200, 1000, 700, 500)) or ())
        assert len(tiles) == 4 * 3
        for tile in tiles:
            assert tile.jpeg is not None
            np.testing.assert_array_equal(imagecodecs.jpeg8_decode(tile.jpeg), slide.read(0, *tile.area))


def test_real_flat_tiff_that_openslide_refuses_is_read(slides: Path) -> None:
    expected = {"OS-1-detail.ome.tif": (1101, 1101, 0.2271), "instanseg_HE_example.tif": (1380, 1484, 0.5001)}
    for name, (width, height, mpp) in expected.items():
        assert openslide.OpenSlide.detect_format(slides / "flat" / name) is None
        with open_slide(slides / "flat" / name) as slide:
            assert (slide.width_px, slide.height_px) == (width, height)
            assert slide.scale.mpp == pytest.approx(mpp, abs=1e-4)
            describe(slide)
    with (
        open_slide(slides / "flat/OS-1-detail.ome.tif") as flat,
        open_slide(slides / "derived/OS-1-detail_pyramid.tiff") as pyramid,
    ):
        one, other = (slide.read(0, 0, 0, 1101, 1101) for slide in (flat, pyramid))
        assert cv2.PSNR(one, other) > 28, "the same picture, compressed twice"
