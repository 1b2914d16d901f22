"""Pictures of a slide's label and of the whole glass show patients' names: no reader shows one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile

from morula.common.errors import SlideUnreadable
from morula.common.testing import draw_tissue
from morula.tiler.readers import open_slide
from morula.tiler.series import is_smaller
from morula.tiler.slide import Pixels

SCAN = draw_tissue(400, 300)[0]
SECRET = np.full((500, 1300, 3), (255, 0, 0), np.uint8)
APERIO = "Aperio Image Library v11.2.1\n"
TILED: dict[str, Any] = {"tile": (128, 128)}
Page = tuple[Pixels, dict[str, Any]]


def written(path: Path, *pages: Page) -> Path:
    shared: dict[str, Any] = {"photometric": "rgb", "metadata": None, "software": "", "compression": "lzma"}
    with tifffile.TiffWriter(path) as tiff:
        for pixels, options in pages:
            tiff.write(pixels, **shared, **options)
    with pytest.raises(openslide.OpenSlideError), openslide.OpenSlide(path) as slide:
        slide.read_region((0, 0), 0, (8, 8))
    return path


def aperio(first: dict[str, Any]) -> tuple[Page, ...]:
    scan = (SCAN, {"description": f"{APERIO}400x300 (128x128)|AppMag = 20|MPP = 0.5", **first})
    macro = (SECRET, {"description": f"{APERIO}macro 1300x500", "subfiletype": 9})
    label = (SECRET[:, :450], {"description": f"{APERIO}label 450x500", "subfiletype": 1})
    return scan, (SCAN[::4, ::4], {"description": f"{APERIO}-> 100x75"}), label, macro


SHOWN: dict[str, tuple[Page, ...]] = {
    "a macro larger than the scan": aperio(TILED),
    "a macro that its words tell": ((SCAN, {}), (SECRET, {"description": "Macro"})),
    "a macro that its name tells": (
        (SCAN, {}),
        (SECRET, {"description": '{"shape": [500, 1300, 3], "name": "macro"}'}),
    ),
    "a picture that is flagged as reduced": ((SCAN, {}), (SECRET, {"subfiletype": 1})),
    "a thumbnail before the scan": ((SCAN[::2, ::2], {}), (SCAN, {})),
    "a smaller one of which nothing is known": ((SCAN, {}), (SECRET[:90, :200], {})),
}
REFUSED: dict[str, tuple[Page, ...]] = {
    "a scan in strips, as Aperio stores macros": aperio({}),
    "a label only": ((SECRET, {"description": "Label_Image"}),),
    "a macro of PerkinElmer's": ((SECRET, {"description": "<P><ImageType>Overview</ImageType></P>"}),),
    "several of which nothing is known": ((SCAN, {}), (SECRET, {})),
    "a reduced one only": ((SECRET, {"subfiletype": 9}),),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_scan_is_shown(tmp_path: Path, name: str) -> None:
    with open_slide(written(tmp_path / "a.svs", *SHOWN[name])) as slide:
        assert (slide.width_px, slide.height_px) == (400, 300)
        for number, level in enumerate(slide.levels):
            pixels = slide.read(number, 0, 0, level.width_px, level.height_px)
            assert not (pixels == SECRET[0, 0]).all(axis=-1).any()
        np.testing.assert_array_equal(slide.read(0, 0, 0, 400, 300), SCAN)


@pytest.mark.parametrize("name", REFUSED)
def test_where_no_picture_is_surely_the_scan_none_is_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlideUnreadable, match=r"a.svs cannot be read: .*(label|which of them)"):
        open_slide(written(tmp_path / "a.svs", *REFUSED[name]))


@pytest.mark.parametrize(
    "named", [lambda text: text, lambda text: text.replace("macro image", "Image 1")], ids=["named", "unnamed"]
)
def test_an_ome_tiff_s_macro_is_not_shown(tmp_path: Path, named: Callable[[str], str]) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(SCAN, photometric="rgb", metadata={"axes": "YXS", "Name": "slide"})
        tiff.write(SECRET, photometric="rgb", metadata={"axes": "YXS", "Name": named("macro image")})
    if named("macro image") == "macro image":
        with open_slide(path) as slide:
            assert (slide.width_px, slide.height_px) == (400, 300)
    else:
        with pytest.raises(SlideUnreadable, match="which of them is the slide"):
            open_slide(path)


def test_a_macro_among_the_levels_is_found_by_its_shape(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"photometric": "rgb", "metadata": None, "software": "", **TILED}
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(SCAN, **shared)
        tiff.write(SECRET[:150, :390], subfiletype=1, **shared)
    assert openslide.OpenSlide(tmp_path / "a.tif").level_count == 2
    with pytest.raises(SlideUnreadable, match="level 1 is not a smaller picture of the same"):
        open_slide(tmp_path / "a.tif")


def test_sizes_of_levels_are_rounded_up_or_down() -> None:
    assert all(is_smaller((1001, 707), size) for size in ((500, 354), (501, 353), (63, 44), (4, 3), (1, 1)))
    assert not any(is_smaller((1000, 700), size) for size in ((1200, 840), (500, 500), (500, 190), (0, 0)))
