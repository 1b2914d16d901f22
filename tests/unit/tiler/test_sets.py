"""Slides in several files: read whole, and nothing of what is not theirs."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from morula.common.errors import SlideUnreadable
from morula.common.testing import draw_tissue
from morula.tiler.probe import describe, probe
from morula.tiler.readers import open_slide
from morula.tiler.tiff import TiffSlide

WIDTH_PX, HEIGHT_PX = 301, 203
PIXELS = draw_tissue(WIDTH_PX, HEIGHT_PX)[0]
TILED: dict[str, Any] = {"tile": (128, 128)}
PARTS = ("red.tif", "green.tif", "blue.tif")


def ome_description(parts: tuple[str, ...] = PARTS, *, size_c: int = 3, size_z: int = 1) -> str:
    planes = "".join(
        f'<TiffData FirstC="{number}" FirstZ="0" FirstT="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:0000000{number}-0000-0000-0000-000000000000</UUID></TiffData>'
        for number, name in enumerate(parts)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0" Name="slide"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
        f'SizeX="{WIDTH_PX}" SizeY="{HEIGHT_PX}" SizeC="{size_c}" SizeZ="{size_z}" SizeT="1" '
        f'PhysicalSizeX="0.5" PhysicalSizeY="0.5">{planes}</Pixels></Image></OME>'
    )


def write_parts(folder: Path, text: str, layout: dict[str, Any], names: tuple[str, ...] = PARTS) -> Path:
    for number, name in enumerate(names):
        options = {"photometric": "minisblack", "metadata": None, "description": text, **layout}
        half = PIXELS[::2, ::2, number % 3]
        with tifffile.TiffWriter(folder / name) as tiff:
            tiff.write(PIXELS[..., number % 3], subifds=1 if layout else 0, **options)
            if layout:
                tiff.write(half, subfiletype=1, photometric="minisblack", metadata=None, **layout)
    return folder / names[0]


@pytest.mark.parametrize("layout", [{}, TILED], ids=["flat", "tiled pyramid"])
def test_colours_in_files_of_their_own_are_put_together(tmp_path: Path, layout: dict[str, Any]) -> None:
    path = write_parts(tmp_path, ome_description(), layout)
    mates = PARTS[1:]
    assert probe(path, mates).vendor == "ome-tiff"
    with open_slide(path, mates) as slide:
        describe(slide)
        assert slide.scale.mpp == pytest.approx(0.5)
        np.testing.assert_array_equal(slide.read(0, 0, 0, WIDTH_PX, HEIGHT_PX), PIXELS)
        if layout:
            np.testing.assert_array_equal(slide.read(1, 0, 0, 151, 102), PIXELS[::2, ::2])


def test_a_part_that_names_where_its_set_is_described_is_read_by_that(tmp_path: Path) -> None:
    write_parts(tmp_path, ome_description(), {})
    only = '<OME xmlns="http://x"><BinaryOnly MetadataFile="{}" UUID="urn:uuid:1"/></OME>'
    tifffile.imwrite(tmp_path / "red.tif", PIXELS[..., 0], description=only.format("green.tif"), metadata=None)
    with open_slide(tmp_path / "red.tif", PARTS[1:]) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, WIDTH_PX, HEIGHT_PX), PIXELS)
    (tmp_path / "set.ome").write_text(ome_description())
    tifffile.imwrite(tmp_path / "red.tif", PIXELS[..., 0], description=only.format("set.ome"), metadata=None)
    with open_slide(tmp_path / "red.tif", (*PARTS[1:], "set.ome")) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, WIDTH_PX, HEIGHT_PX), PIXELS)
    with pytest.raises(SlideUnreadable, match=r"names 'set.ome', which is not among"):
        open_slide(tmp_path / "red.tif", PARTS[1:])


@pytest.mark.parametrize("layout", [{}, TILED], ids=["flat", "tiled pyramid"])
def test_a_described_file_that_is_not_of_the_slide_is_refused_whether_it_exists_or_not(
    tmp_path: Path, layout: dict[str, Any]
) -> None:
    path = write_parts(tmp_path, ome_description(("red.tif", "green.tif", "secret.tif")), layout)
    answers = set()
    for exists in (False, True):
        if exists:
            (tmp_path / "blue.tif").rename(tmp_path / "secret.tif")
        with pytest.raises(SlideUnreadable, match=r"red.tif cannot be read: it names 'secret.tif'") as refused:
            open_slide(path, ("green.tif",))
        answers.add(str(refused.value))
    assert len(answers) == 1
    with pytest.raises(SlideUnreadable, match="secret"):
        TiffSlide(path, mates=("green.tif",))


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/passwd", "a/../../secret.tif", "green.tif/../../secret.tif"])
def test_no_name_leads_out_of_the_slide(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "slide"
    inner.mkdir()
    tifffile.imwrite(tmp_path / "secret.tif", PIXELS[..., 2])
    path = write_parts(inner, ome_description(("red.tif", "green.tif", name)), {})
    with pytest.raises(SlideUnreadable, match="not among the slide's files"):
        open_slide(path, PARTS[1:])


@pytest.mark.parametrize(("size_c", "size_z"), [(5, 1), (2, 1), (3, 2), (10**12, 1)])
def test_a_set_of_other_than_one_picture_is_refused(tmp_path: Path, size_c: int, size_z: int) -> None:
    path = write_parts(tmp_path, ome_description(size_c=size_c, size_z=size_z), {})
    with pytest.raises(SlideUnreadable, match=rf"it is a stack \({size_c} C"):
        open_slide(path, PARTS[1:])


def test_parts_that_are_not_alike_or_not_there_are_refused(tmp_path: Path) -> None:
    path = write_parts(tmp_path, ome_description(), {})
    tifffile.imwrite(tmp_path / "green.tif", PIXELS[:100, :100, 1], metadata=None)
    with pytest.raises(SlideUnreadable, match="not stored alike"):
        open_slide(path, PARTS[1:])
    write_parts(tmp_path, ome_description().replace('IFD="0"', 'IFD="999999999"'), {})
    with pytest.raises(SlideUnreadable, match="planes that it describes are not there"):
        open_slide(path, PARTS[1:])
    write_parts(tmp_path, ome_description().replace('FirstC="1"', 'FirstC="0"'), {})
    with pytest.raises(SlideUnreadable, match="no file for some of its planes"):
        open_slide(path, PARTS[1:])


def hamamatsu(folder: Path, **names: str) -> Path:
    """An index as Hamamatsu writes it, of one picture of JPEG with restarts."""
    picture = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.tile(PIXELS[:192, :256], (2, 2, 1)))).save(
        picture, "JPEG", restart_marker_rows=1, subsampling=0
    )
    for name in ("a.jpg", "map.jpg"):
        (folder / name).write_bytes(picture.getvalue())
    keys = {"NoLayers": "1", "NoJpegColumns": "1", "NoJpegRows": "1", "ImageFile": "a.jpg", "MapFile": "map.jpg"}
    keys |= {"SourceLens": "20", "PhysicalWidth": "500000", "PhysicalHeight": "500000"} | names
    lines = [f"{key} = {value}" for key, value in keys.items()]
    (folder / "slide.vms").write_text("\n".join(["[Virtual Microscope Specimen]", *lines, ""]))
    return folder / "slide.vms"


def test_an_index_is_read_with_the_slide_s_own_files(tmp_path: Path) -> None:
    path = hamamatsu(tmp_path)
    with open_slide(path, ("a.jpg", "map.jpg")) as slide:
        assert slide.vendor == "hamamatsu"
        assert (slide.width_px, slide.height_px) == (512, 384)


@pytest.mark.parametrize("key", ["ImageFile", "MapFile", "MacroImage", "OptimisationFile", "imagefile(0,0)"])
@pytest.mark.parametrize("name", ["../secret.jpg", "{outer}/secret.jpg", "..\\\\secret.jpg", "sub/../../secret.jpg"])
def test_an_index_does_not_lead_to_other_files(tmp_path: Path, key: str, name: str) -> None:
    inner = tmp_path / "slide"
    inner.mkdir()
    (tmp_path / "secret.jpg").write_bytes(imagecodecs.jpeg8_encode(PIXELS))
    path = hamamatsu(inner, **{key: name.format(outer=tmp_path)})
    with pytest.raises(SlideUnreadable, match=r"secret.jpg', which is not among the slide's files") as refused:
        open_slide(path, ("a.jpg", "map.jpg"))
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("line", ["INDEXFILE = ../../secret", "FILE_0 = ../../secret", "FILE_7=/etc/passwd"])
def test_a_mirax_index_does_not_lead_to_other_files(tmp_path: Path, line: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a.mrxs").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "a/Slidedat.ini").write_text(f"[GENERAL]\nSLIDE_ID = x\n[DATAFILE]\nFILE_COUNT = 1\n{line}\n")
    with pytest.raises(SlideUnreadable, match="which is not among the slide's files"):
        open_slide(tmp_path / "a.mrxs", ("a/Slidedat.ini", "a/Data0000.dat"))
    with pytest.raises(SlideUnreadable, match=r"needs a/Slidedat.ini"):
        open_slide(tmp_path / "a.mrxs", ())
    assert openslide.OpenSlide.detect_format(tmp_path / "a.mrxs") == "mirax", "what would otherwise follow it"


def test_the_picture_in_a_mirax_slide_s_first_file_is_not_the_slide(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a.mrxs").write_bytes(imagecodecs.jpeg8_encode(PIXELS))
    (tmp_path / "a/Slidedat.ini").write_text("[GENERAL]\n")
    with pytest.raises(SlideUnreadable, match=r"a.mrxs cannot be read"):
        open_slide(tmp_path / "a.mrxs", ("a/Slidedat.ini",))
