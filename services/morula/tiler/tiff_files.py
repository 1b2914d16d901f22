"""The file or files that a TIFF slide lies in: one, or those among which OME-XML spreads a picture's colours."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from morula.common.errors import SlideUnreadable
from morula.tiler.indexes import INDEX_LIMIT_BYTES, described_files, parse_xml
from morula.tiler.series import BESIDE_NAME, main_series, open_alone

COLOURS = 3


class TiffFiles:
    """An open TIFF, the picture of it that is the slide, and the description that says so.

    `mates` are the slide's other files as seen from this one; what else is described is refused, never looked for.
    """

    def __init__(self, path: Path, mates: Collection[str] = ()) -> None:
        self._folder, self._mates = path.parent, mates
        self._open: dict[int, tuple[int, int]] = {}
        with contextlib.ExitStack() as opened:
            self._opened = opened
            self.tiff = self._file(path.name)
            self.description = self.tiff.ome_metadata or ""
            self.series = self._series(path.name)
            self._opened = opened.pop_all()

    def extent_of(self, page: Any) -> tuple[int, int]:
        """Descriptor and size in bytes of the file that a page lies in."""
        return self._open[id(page.parent)]

    def close(self) -> None:
        self._opened.close()

    def _file(self, name: str) -> tifffile.TiffFile:
        file = self._opened.enter_context((self._folder / name).open("rb"))
        tiff = self._opened.enter_context(open_alone(file))
        self._open[id(tiff)] = (file.fileno(), os.fstat(file.fileno()).st_size)
        return tiff

    def _series(self, own: str) -> Any:
        if not self.description:
            return main_series(self.tiff)
        names = set(described_files(self.description))
        if "BinaryOnly" in self.description and own not in names:
            self.description = self._described_in(next(iter(names), ""))
            names = set(described_files(self.description))
        # If exactly one named file is missing, it is this file under its former name.
        if names <= {own} or (len(names) == 1 and not names & set(self._mates)):
            return main_series(self.tiff)
        for name in sorted(names - {own}):
            self._check(name)
        return self._joined(_Picture(self.description, own), own)

    def _described_in(self, name: str) -> str:
        """What another file of the set says: a TIFF, or a text of its own."""
        self._check(name)
        path = self._folder / name
        if path.stat().st_size <= INDEX_LIMIT_BYTES and path.read_bytes().lstrip()[:1] == b"<":
            return path.read_text(encoding="utf-8", errors="replace")
        return self._file(name).ome_metadata or ""

    def _check(self, name: str) -> None:
        if name not in self._mates:
            raise SlideUnreadable(f"it names {name[:80]!a}, which is not among the slide's files")

    def _joined(self, picture: "_Picture", own: str) -> tifffile.TiffPageSeries:
        tiffs = {own: self.tiff}
        for name in picture.names() - {own}:
            tiffs[name] = self._file(name)
        try:
            pages: list[Any] = [list(tiffs[name].pages or ())[number] for name, number in picture.planes]
        except IndexError as error:
            raise SlideUnreadable("planes that it describes are not there") from error
        first = pages[0]
        if any(page.hash != first.hash for page in pages):
            raise SlideUnreadable("its planes are not stored alike")
        series = _series_of(pages)
        for number in range(len(first.subifds or ())):
            series.levels.append(_series_of([page.pages[number] for page in pages]))
        return series


class _Picture:
    """The largest picture that OME-XML describes, but for those of label and glass: file and number of each plane."""

    def __init__(self, description: str, own: str) -> None:
        images = [
            image for image in _all(parse_xml(description), "Image") if not BESIDE_NAME.search(image.get("Name", ""))
        ]
        every = [pixels for image in images for pixels in _all(image, "Pixels")]
        if not every:
            raise SlideUnreadable("it describes no picture of the slide")
        try:
            pixels = max(every, key=lambda pixels: int(pixels.attrib["SizeX"]) * int(pixels.attrib["SizeY"]))
            self.planes = self._planes(pixels, own)
        except (KeyError, ValueError) as error:
            raise SlideUnreadable("its description is damaged") from error

    def names(self) -> set[str]:
        return {name for name, _ in self.planes}

    def _planes(self, pixels: ElementTree.Element, own: str) -> list[tuple[str, int]]:
        order = pixels.attrib["DimensionOrder"][2:]
        channel = next(iter(_all(pixels, "Channel")), None)
        samples = int(channel.get("SamplesPerPixel", "1")) if channel is not None else 1
        sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in "CZT"}
        if (sizes["Z"], sizes["T"]) != (1, 1) or (sizes["C"], samples) not in (
            (1, 1),
            (COLOURS, 1),
            (COLOURS, COLOURS),
        ):
            parts = " x ".join(f"{size} {axis}" for axis, size in sizes.items() if size > 1)
            raise SlideUnreadable(f"it is a stack ({parts}) and not one picture in grey or in red, green and blue")
        pages: dict[int, tuple[str, int]] = {}
        count = sizes["C"] // samples
        for data in _all(pixels, "TiffData"):
            uuid = next(iter(_all(data, "UUID")), None)
            name = own if uuid is None else uuid.get("FileName", own)
            place, number = int(data.get("FirstC", "0")) if "C" in order else 0, int(data.get("IFD", "0"))
            planes = int(data.get("PlaneCount", data.get("NumPlanes", "1" if "IFD" in data.attrib else str(count))))
            if place < 0 or number < 0:
                raise SlideUnreadable("its description is damaged")
            pages |= {place + step: (name, number + step) for step in range(min(planes, count))}
        if not set(range(count)) <= pages.keys():
            raise SlideUnreadable("it describes no file for some of its planes")
        return [pages[place] for place in range(count)]


def _series_of(pages: list[Any]) -> tifffile.TiffPageSeries:
    first = pages[0]
    if len(pages) == 1:
        return tifffile.TiffPageSeries(pages, first.shape, first.dtype, first.axes, kind="ome")
    shape, axes = (len(pages), *first.shape), f"C{first.axes}"
    return tifffile.TiffPageSeries(pages, shape, first.dtype, axes, kind="ome", multifile=True)


def _all(element: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [child for child in element if child.tag.rpartition("}")[-1] == kind]
