"""Images of single cells, of a folder or an archive: read one by one, so that neither their number nor a hostile file
decides about memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.common.keys import key_problem
from morula.common.slide_sets import files_below
from morula.onebox.failures import WrongUse
from morula.onebox.images import SUFFIXES, decoded, stated_size
from morula.segmenter.channels import eight_bits

MAX_BYTES = 32 * 1024**2
MAX_SIDE_PX = 4096
"""Of an image of one cell."""
MAX_IMAGES = 1_000_000
_MOST_SHOWN = 3


@dataclass(frozen=True)
class ImageFile:
    """An image that is still to be read, by its name in the folder or archive."""

    name: str
    read: Callable[[int], bytes]
    """Its content, up to so many bytes."""

    def pixels(self) -> NDArray[np.uint8]:
        """Height x width x 3; WrongUse says what is wrong with it."""
        content = self.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise WrongUse(f"{self.name} is larger than {MAX_BYTES >> 20} MiB: it is not the image of one cell")
        self._check_size(content)
        return eight_bits(decoded(content, self.name))

    def _check_size(self, content: bytes) -> None:
        width, height = stated_size(content, self.name)
        if not 0 < max(width, height) <= MAX_SIDE_PX:
            raise WrongUse(f"{self.name} has {width} x {height} px, more than {MAX_SIDE_PX}: segment it first")


@contextmanager
def opened(source: Path) -> Iterator[list[ImageFile]]:
    """The images of a folder or of a zip archive in the order of their names."""
    if source.is_dir():
        yield _checked(source, [ImageFile(name, partial(_of_file, path)) for name, path in files_below(source).items()])
        return
    if not source.is_file():
        raise WrongUse(f"there is no folder or archive {source}")
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise WrongUse(f"{source} is neither a folder nor a whole zip archive ({error})") from error
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        yield _checked(source, [ImageFile(each.filename, partial(_of_archive, archive, each)) for each in members])


def _checked(source: Path, found: list[ImageFile]) -> list[ImageFile]:
    images = sorted((one for one in found if _is_image(one.name)), key=lambda one: one.name)
    if not images:
        raise WrongUse(f"there are no images in {source}; images are {', '.join(SUFFIXES)}")
    if len(images) > MAX_IMAGES:
        raise WrongUse(f"{source} has {len(images):,} images, more than {MAX_IMAGES:,}: embed a part at a time")
    unfit = [f"{one.name[:80]!r} {problem}" for one in images if (problem := key_problem(one.name))]
    if unfit:
        raise WrongUse(f"names of images in {source} that are not plain: {'; '.join(unfit[:_MOST_SHOWN])}")
    names = [one.name for one in images]
    twice = sorted({one for one, following in pairwise(names) if one == following})
    if twice:
        raise WrongUse(f"{source} has more than one image {', '.join(twice[:_MOST_SHOWN])}")
    return images


def _is_image(name: str) -> bool:
    """By its ending; what begins with a dot is the system's."""
    parts = name.split("/")
    return name.lower().endswith(SUFFIXES) and not any(part.startswith(".") and part.strip(".") for part in parts)


def _of_file(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from error


def _of_archive(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most_bytes: int) -> bytes:
    try:
        with archive.open(member) as file:
            return file.read(most_bytes)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise WrongUse(f"{member.filename} cannot be read from its archive: {error}") from error
