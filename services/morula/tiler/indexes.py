"""What a slide's own index names, looked at before a library follows it: only other files of the same slide.

A name is compared with the slide's manifest and never looked up, so that nobody learns what else this machine holds.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from morula.common.errors import SlideUnreadable

INDEX_LIMIT_BYTES = 16 << 20
HAMAMATSU = b"virtual microscope specimen]"
HAMAMATSU_NAME = re.compile(rb"(imagefile.*|mapfile|optimisationfile|macroimage)", re.IGNORECASE | re.DOTALL)
MIRAX_NAME = re.compile(rb"(indexfile|file_\d+)", re.IGNORECASE)


def check_index(path: Path, mates: Collection[str]) -> None:
    """Raises SlideUnreadable where a slide's index leads out of the slide.

    `mates` are the slide's other files, by their names as seen from the index.
    """
    if path.suffix.lower() == ".mrxs":
        folder = path.stem
        index = f"{folder}/Slidedat.ini"
        if index not in mates:
            raise SlideUnreadable(f"{path.name} needs {index}, which is not among the slide's files", name=path.name)
        named = _values(_text(path.parent / index), MIRAX_NAME)
        _check(path.name, (f"{folder}/{name}" for name in named if name), mates)
    elif path.stat().st_size <= INDEX_LIMIT_BYTES and HAMAMATSU in (text := path.read_bytes()).lower():
        _check(path.name, (name for name in _values(text, HAMAMATSU_NAME) if name), {*mates, path.name})


def described_files(description: str) -> Iterator[str]:
    """The files that OME-XML says the planes of its pictures lie in, or its own text."""
    for element in parse_xml(description).iter():
        kind = element.tag.rpartition("}")[-1]
        if kind == "UUID" and "FileName" in element.attrib:
            yield element.attrib["FileName"]
        elif kind == "BinaryOnly":
            yield element.attrib.get("MetadataFile", "")


def parse_xml(text: str) -> ElementTree.Element:
    """XML as devices write it: without entities of its own, which are how a short text becomes an endless one."""
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise SlideUnreadable("its XML declares entities, which are refused because they can be dangerous")
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - entities were refused above
    except (ElementTree.ParseError, RecursionError, ValueError) as error:
        raise SlideUnreadable("its XML is damaged") from error


def _text(path: Path) -> bytes:
    if path.stat().st_size > INDEX_LIMIT_BYTES:
        raise SlideUnreadable(f"{path.name} is too large for an index", name=path.name)
    return path.read_bytes()


def _values(text: bytes, wanted: re.Pattern[bytes]) -> Iterator[str]:
    for line in text.split(b"\n"):
        key, equals, value = line.partition(b"=")
        if equals and wanted.fullmatch(key.strip()):
            yield value.strip().decode("utf-8", "surrogateescape")


def _check(index: str, named: Iterator[str], mates: Collection[str]) -> None:
    for name in named:
        if name not in mates:
            shown = ascii(PurePosixPath(name).name[:80])
            raise SlideUnreadable(f"{index} names {shown}, which is not among the slide's files", name=index)
