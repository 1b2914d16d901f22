"""Several files are one slide where their format needs it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from morula.common.errors import InvalidArgument
from morula.common.slide_sets import SlideFiles, check_one_slide, entry_of, files_below
from tests.unit.common.headers import IMPLICIT, dicom, ome_tiff

VMS = b"[Virtual Microscope Specimen]\r\nImageFile=v-0.jpg\r\nImageFile(1,0)= v-1.jpg\r\nMapFile=../out.jpg\r\n"
FILES = {
    "a.svs": b"",
    "b.svs": b"",
    "m.mrxs": b"",
    "m/Slidedat.ini": b"",
    "m/Data0001.dat": b"",
    "v.vms": VMS,
    "v-0.jpg": b"",
    "v-1.jpg": b"",
    "field.jpg": b"",
    "s/1.dcm": dicom(1),
    "s/2.dcm": dicom(1, IMPLICIT),
    "s/1.2.840.3": dicom(1),
    "s/4.dcm": dicom(2),
    "t/1.dcm": dicom(1),
    "t/torn.dcm": dicom(1)[:-4],
    "o-0.ome.tiff": ome_tiff(["o-0.ome.tiff", "o-1.ome.tiff"]),
    "o-1.ome.tiff": ome_tiff(["o-2.ome.tiff", "../a.svs", "gone.ome.tiff"], big=True),
    "o-2.ome.tiff": ome_tiff([], order=">"),
    "p.ome.tiff": ome_tiff(["p.ome.tiff"], big=True, order=">"),
    "plain.tiff": b"II*\0\xff\xff\xff\xff",
    "notes.txt": b"of the person who scanned these",
}
SLIDES = [
    ["a.svs"],
    ["b.svs"],
    ["field.jpg"],
    ["m.mrxs", "m/Data0001.dat", "m/Slidedat.ini"],
    ["o-0.ome.tiff", "o-1.ome.tiff", "o-2.ome.tiff"],
    ["p.ome.tiff"],
    ["plain.tiff"],
    ["s/1.2.840.3", "s/1.dcm", "s/2.dcm"],
    ["s/4.dcm"],
    ["t/1.dcm"],
    ["t/torn.dcm"],
    ["v-0.jpg", "v-1.jpg", "v.vms"],
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return files_below(tmp_path)


def test_slides_among_files(files: dict[str, Path]) -> None:
    assert SlideFiles(files).sets() == (SLIDES, ["notes.txt"])


def test_the_files_of_one_slide_are_found_from_the_one_that_is_named(files: dict[str, Path]) -> None:
    around = SlideFiles(files)
    for names in SLIDES:
        assert around.set_of(entry_of(names)) == names


@pytest.mark.parametrize("names", SLIDES, ids=lambda names: names[0])
def test_a_set_is_one_slide(names: list[str], files: dict[str, Path]) -> None:
    check_one_slide({name: files[name] for name in names})


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a.svs", "b.svs"], r"2 slides \(a\.svs, b\.svs\)"),
        (["s/1.dcm", "s/4.dcm"], "2 slides"),
        (["o-0.ome.tiff", "o-2.ome.tiff"], "2 slides"),
        (["a.svs", "notes.txt"], r"needs notes\.txt"),
        (["m/Slidedat.ini", "m/Data0001.dat"], "needs"),
    ],
)
def test_files_of_no_one_slide_are_told_apart(names: list[str], says: str, files: dict[str, Path]) -> None:
    with pytest.raises(InvalidArgument, match=says):
        check_one_slide({name: files[name] for name in names})


def test_the_entry_is_the_file_that_readers_open() -> None:
    assert entry_of(["a/Slidedat.ini", "a.mrxs"]) == "a.mrxs"
    assert entry_of(["v-0.jpg", "v.vms"]) == "v.vms"
    assert entry_of(["b.dcm", "a.dcm"]) == "a.dcm"
