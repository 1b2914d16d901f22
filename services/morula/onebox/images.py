"""Plain images and label images: read for those who have no slide, written so that other programs read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import shapely
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from morula.onebox.failures import WrongUse

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_TIFF = (".tif", ".tiff")
MAX_SIDE_PX = 16384
_UINT16 = 65535
Read = TypeVar("Read")


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Images that are named, and those in folders that are named; each stem once, for outputs have the same."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        elif path.is_file():
            files.append(path)
        else:
            raise WrongUse(f"there is no image or folder {path}")
    by_stem: dict[str, Path] = {}
    for path in files:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise WrongUse(f"{other} and {path} would be written to the same name")
    if not files:
        raise WrongUse(f"there are no images in {', '.join(map(str, paths))}; images are {', '.join(SUFFIXES)}")
    return files


def read_image(path: Path) -> NDArray[Any]:
    """Pixels (height, width, 3), 8 or 16 bits or floats; gray becomes three equal channels, transparency goes."""
    return decoded(path.read_bytes(), str(path))


def decoded(content: bytes, path: str) -> NDArray[Any]:
    """Of an image's file, which is called by its name."""
    pixels = _read(content, path)
    if _has_planes_first(_picture_shape(pixels.shape, path)):
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if max(pixels.shape[:2]) > MAX_SIDE_PX:
        raise WrongUse(
            f"{path} has {pixels.shape[1]} x {pixels.shape[0]} px: that is too large for morula segment, use morula run"
        )
    if pixels.shape[2] in (1, 2):
        return np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def stated_size(content: bytes, path: str) -> tuple[int, int]:
    """Width and height by the header: a small file may say that it is a picture larger than memory."""
    if path.lower().endswith(_TIFF):
        shape = _of_tiff(content, path, lambda file: file.series[0].shape)
        height, width = shape[1:] if _has_planes_first(shape) else shape[:2]
        return width, height
    try:
        with Image.open(BytesIO(content)) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise WrongUse(f"{path} cannot be read as an image") from error


def _picture_shape(shape: tuple[int, ...], path: str) -> tuple[int, ...]:
    if len(shape) == 2 or _has_planes_first(shape) or (len(shape) == 3 and 1 <= shape[2] <= 4):
        return shape
    raise WrongUse(f"{path} is not a single picture in grey or colour: its shape is {shape}")


def _has_planes_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (3, 4) and shape[2] not in (3, 4)


def read_labels(path: Path) -> NDArray[np.int64]:
    """A label image."""
    labels = _read(path.read_bytes(), str(path))
    if labels.ndim != 2 or labels.dtype.kind not in "uib":
        raise WrongUse(f"{path} is not a label image: {labels.dtype} of shape {labels.shape}")
    return labels.astype(np.int64)


def _read(content: bytes, path: str) -> NDArray[Any]:
    if path.lower().endswith(_TIFF):
        pages = _of_tiff(content, path, lambda file: np.asarray(file.asarray()))
        if not pages.size:
            raise WrongUse(f"{path} cannot be read as an image")
        return pages
    picture = cv2.imdecode(np.frombuffer(content or b"\0", np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise WrongUse(f"{path} cannot be read as an image")
    pixels = np.asarray(picture)
    if pixels.ndim == 2:
        return pixels
    return np.ascontiguousarray(pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]])


def _of_tiff(content: bytes, path: str, read: Callable[[tifffile.TiffFile], Read]) -> Read:
    """What is read of a TIFF that says of itself that it is one picture: it may hold more pages than memory."""
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            if not file.series:
                raise WrongUse(f"{path} cannot be read as an image")
            _picture_shape(file.series[0].shape, path)
            return read(file)
    except (OSError, ValueError, RuntimeError) as error:
        raise WrongUse(f"{path} cannot be read as a TIFF: save it again, uncompressed or as PNG ({error})") from error


def write_labels(path: Path, labels: NDArray[np.int32]) -> Path:
    """A 16-bit PNG; a 32-bit TIFF where there are more objects than 16 bits can number."""
    if int(labels.max(initial=0)) > _UINT16:
        path = path.with_suffix(".tiff")
        tifffile.imwrite(path, labels.astype(np.uint32), compression="zlib")
        return path
    path = path.with_suffix(".png")
    path.write_bytes(cv2.imencode(".png", labels.astype(np.uint16))[1].tobytes())
    return path


def write_geojson(path: Path, polygons: NDArray[np.object_], scores: NDArray[np.float32]) -> None:
    """One feature per object, in px of the image; ids are labels."""
    features = [
        {
            "type": "Feature",
            "id": number,
            "geometry": shapely.geometry.mapping(polygon),
            "properties": {"objectType": "detection", "score": round(float(score), 4)},
        }
        for number, (polygon, score) in enumerate(zip(polygons, scores, strict=True), 1)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
