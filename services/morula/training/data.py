"""Images with labels, by group: what belongs together is learned from or held out together, never both."""

from __future__ import annotations

import csv
import glob
import hashlib
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.segmenter.channels import eight_bits
from morula.training.config import Source, Split
from morula.training.example import Example
from morula.training.patches import joined

Part = Literal["train", "watch", "test"]
PARTS: tuple[Part, ...] = ("train", "watch", "test")
_OUTLINES = ".geojson"
Reading = Callable[[], bytes]
Files = dict[str, Reading]
MAX_BYTES = 256 * 1024**2
"""Of a file in an archive: a few bytes can be said to be any number of them."""
_ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
_SLIDE_MPP = 0.5
_MOST_LABEL = (1 << 24) - 1
"""They are brought to size in single precision, which knows no larger whole numbers."""


def read_source(source: Source, root: Path) -> Iterator[Example]:
    """All images of a source, in the order of their names.

    What draws slides, reads them or knows outlines is imported only where it is asked: images need none of it.
    """
    if source.synthetic_seeds:
        from morula.synth import MPP
        from morula.training.synthetic import synthetic_fields

        for seed in source.synthetic_seeds:
            yield from _fields(source, str(seed), synthetic_fields(seed), MPP)
    elif source.slides:
        from morula.training.outlines import fields_of

        for slide, outlines in _slides(root / source.slides):
            mpp = source.mpp or _SLIDE_MPP
            yield from _fields(source, _group(source, slide.stem, {}), fields_of(slide, outlines, mpp), mpp)
    elif source.patch_offsets_px:
        yield from joined(_images(source, root), source.patch_offsets_px)
    else:
        yield from _images(source, root)


def _fields(
    source: Source, group: str, fields: Iterable[tuple[str, NDArray[np.uint8], NDArray[np.int32]]], mpp: float
) -> Iterator[Example]:
    for name, pixels, labels in fields:
        yield Example(source.name, name, f"{source.name}/{group}", source.name, pixels, labels, mpp)


def _slides(folder: Path) -> list[tuple[Path, Path]]:
    """Slides and their outlines."""
    outlines = sorted(folder.glob("*.geojson"))
    if not outlines:
        raise InvalidArgument(f"there is no slide with a .geojson of its cells beside it in {folder}")
    pairs = []
    for path in outlines:
        there = path.parent.glob(f"{glob.escape(path.stem)}.*")
        slides = [one for one in there if one.stem == path.stem and one != path and one.is_file()]
        if len(slides) != 1:
            raise InvalidArgument(f"{path.name} needs exactly one slide of its name beside it, there are {len(slides)}")
        pairs.append((slides[0], path))
    return pairs


def _images(source: Source, root: Path) -> Iterator[Example]:
    files = _files(root / source.path)
    images = _by_stem(source, files, "images", _ENDINGS)
    labels_of = _by_stem(source, files, "labels", (*_ENDINGS, _OUTLINES))
    if not images:
        raise InvalidArgument(f"{source.name}: there are no images in {root / source.path}/images")
    rows = _index(root / source.index) if source.index else {}
    for stem in sorted(images):
        if stem not in labels_of:
            raise InvalidArgument(f"{source.name}: image {stem} has no labels")
        if rows and stem not in rows:
            raise InvalidArgument(f"{source.name}: image {stem} is not in {source.index}")
        pixels = _image(images[stem][1], stem)
        labels = _labels(*labels_of[stem], stem, pixels.shape[:2])
        if pixels.shape[:2] != labels.shape:
            raise InvalidArgument(
                f"{source.name}: image {stem} is {pixels.shape[:2]} px, its labels are {labels.shape}"
            )
        _check_columns(source, rows.get(stem, {}))
        group = f"{source.name}/{_group(source, stem, rows.get(stem, {}))}"
        kind = rows[stem][source.kind_column] if rows and source.kind_column else source.name
        mpp = _number(rows[stem], source.mpp_column) if rows and source.mpp_column else source.mpp
        yield Example(source.name, stem, group, kind, pixels, labels, mpp)


def parts_of(groups: Sequence[str], split: Split) -> dict[str, Part]:
    """Which part each group is of. Unknown names are an error: what is meant to be held out must not be learned."""
    known = set(groups)
    if unknown := sorted({*split.watch, *split.test} - known):
        raise InvalidArgument(f"there is no group {', '.join(unknown[:4])} to hold out")
    if both := sorted(set(split.watch) & set(split.test)):
        raise InvalidArgument(f"group {both[0]} is both watched and tested")
    parts: dict[str, Part] = {}
    for group in sorted(known):
        place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) / 2**64
        if group in split.test or (group not in split.watch and place < split.test_share):
            parts[group] = "test"
        elif group in split.watch or place < split.test_share + split.watch_share:
            parts[group] = "watch"
        else:
            parts[group] = "train"
    if "train" not in parts.values():
        raise InvalidArgument(f"all {len(known)} groups are held out: nothing is left to learn from")
    return parts


def _files(path: Path) -> Files:
    """Names of the files in a folder or a zip, and how to read each."""
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file.read_bytes for file in found}
    if not path.is_file():
        raise InvalidArgument(f"there is no folder or zip {path}")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise InvalidArgument(f"{path} is neither a folder nor a zip: {error}") from error
    names = [name for name in archive.namelist() if not name.endswith("/")]
    return {name: partial(_member, archive, name) for name in names}


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size
    if size > MAX_BYTES:
        raise InvalidArgument(f"{name} in {archive.filename} has {size:,} bytes, more than {MAX_BYTES:,}: cut it first")
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InvalidArgument(f"{name} cannot be read from {archive.filename}: {error}") from error


def _by_stem(source: Source, files: Files, folder: str, endings: tuple[str, ...]) -> dict[str, tuple[str, Reading]]:
    """Ending of each file of a folder, and how to read it, by the name without the ending, which each has alone."""
    names: dict[str, str] = {}
    found = {}
    for name, read in files.items():
        path = PurePosixPath(name)
        if path.parent.name != folder or path.suffix.lower() not in endings or path.name.startswith("."):
            continue
        if path.stem in names:
            raise InvalidArgument(
                f"{source.name}: {names[path.stem]} and {name} have one name: rename one, or take it out"
            )
        names[path.stem] = name
        found[path.stem] = (path.suffix.lower(), read)
    return found


def _index(path: Path) -> dict[str, dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidArgument(f"{path} cannot be read: {error}") from error
    if not rows or "id" not in rows[0]:
        raise InvalidArgument(f"{path} has no column id")
    by_id: dict[str, dict[str, str]] = {}
    for row in rows:
        if None in row.values():
            raise InvalidArgument(f"{path}: the row of {row['id']} is short of columns")
        if by_id.setdefault(row["id"], row) is not row:
            raise InvalidArgument(f"{path} has more than one row of {row['id']}")
    return by_id


def _group(source: Source, stem: str, row: dict[str, str]) -> str:
    if source.group_pattern:
        match = re.search(source.group_pattern, stem)
        group = match and (match[1] if match.groups() else match[0])
        if not group:
            raise InvalidArgument(f"{source.name}: {source.group_pattern!r} finds no group in {stem}")
        return group
    return row[source.group_column] if row else stem


def _check_columns(source: Source, row: dict[str, str]) -> None:
    for column in ("" if source.group_pattern else source.group_column, source.kind_column, source.mpp_column):
        if column and row and column not in row:
            raise InvalidArgument(f"{source.index} has no column {column}")


def _number(row: dict[str, str], column: str) -> float:
    try:
        number = float(row[column])
    except ValueError as error:
        raise InvalidArgument(f"{column} of {row['id']} is no number: {row[column]!r}") from error
    if not 0 <= number < math.inf:
        raise InvalidArgument(f"{column} of {row['id']} is no scale: {row[column]!r}")
    return number


def _image(read: Reading, name: str) -> NDArray[np.uint8]:
    """In colour, at its full depth until it is brought to 8 bits as the segmenter does."""
    image = _decoded(read(), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, name)
    try:
        return eight_bits(np.ascontiguousarray(image[..., ::-1]))
    except InvalidArgument as error:
        raise InvalidArgument(f"{name}: {error.detail}") from error


def _labels(ending: str, read: Reading, name: str, shape: tuple[int, ...]) -> NDArray[np.int32]:
    if ending == _OUTLINES:
        from morula.training.outlines import drawn, read_outlines

        return drawn(read_outlines(read(), f"{name}{_OUTLINES}"), shape[0], shape[1])
    labels = _decoded(read(), cv2.IMREAD_UNCHANGED, name)
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise InvalidArgument(f"the labels of {name} are no image of one channel of integers")
    if labels.min() < 0 or labels.max() > _MOST_LABEL:
        raise InvalidArgument(f"the labels of {name} do not lie in 0 to {_MOST_LABEL}")
    return labels.astype(np.int32)


def _decoded(content: bytes, flags: int, name: str) -> NDArray[np.generic]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if image is None:
        raise InvalidArgument(f"{name} cannot be read as an image")
    return np.asarray(image)
