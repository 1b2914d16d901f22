"""Examples as they are learned from: objects at one size, flows drawn once and kept in a folder."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.training.example import Example
from morula.training.flow_targets import flows_of, whole_objects

Pixel = TypeVar("Pixel", bound=np.generic)

# Raised when what is written below changes.
REVISION = 1
_FLOW_STEPS = 127
_REFERENCE_PIXELS = 4096
# Images of a few large or small objects are not shown smaller or larger than this.
_SCALES = (0.1, 4.0)


@dataclass(frozen=True)
class Prepared:
    """An image whose objects have the wanted diameter; mirrored at its ends where it is small."""

    key: str
    group: str
    kind: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    flows: NDArray[np.int8]
    """(height, width, 2): dy and dx, times 127."""
    reference: NDArray[np.uint8]
    """(n, 3): pixels of the whole image, of which its brightness is measured."""
    inner: tuple[int, int]
    """Sides of the image without its mirrored ends."""

    @property
    def object_count(self) -> int:
        return np.unique(self.inside(self.labels)).size - 1

    def inside(self, image: NDArray[Pixel]) -> NDArray[Pixel]:
        """Without the mirrored ends."""
        return image[: self.inner[0], : self.inner[1]]


def prepare(example: Example, diameter_px: float, least_px: int, cache: Path) -> Prepared:
    """The example at its working scale, from the cache where it is there."""
    said = f"{REVISION} {diameter_px} {least_px} {example.pixels.shape}".encode()
    digest = hashlib.sha256(said + example.pixels.tobytes() + example.labels.tobytes()).hexdigest()[:32]
    path = cache / f"{digest}.npz"
    if not path.exists():
        _write(path, _arrays(example, diameter_px, least_px))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            height, width = arrays["inner"].tolist()
            shown = {name: arrays[name] for name in ("pixels", "labels", "flows", "reference")}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidArgument(f"{path} is damaged: delete it, and it is made again") from error
    return Prepared(example.key, example.group, example.kind, **shown, inner=(height, width))


def median_diameter(labels: NDArray[np.int32]) -> float:
    """Of discs of the objects' areas; 0 where there are none."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(4 / np.pi * np.median(areas))) if areas.size else 0.0


def _arrays(example: Example, diameter_px: float, least_px: int) -> dict[str, NDArray[np.generic]]:
    found = median_diameter(example.labels)
    scale = float(np.clip(diameter_px / found, *_SCALES)) if found else 1.0
    height, width = (max(8, round(side * scale)) for side in example.labels.shape)
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.resize(example.pixels, (width, height), interpolation=smooth)
    labels = cv2.resize(example.labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    behind = ((0, max(0, least_px - height)), (0, max(0, least_px - width)))
    pixels = np.pad(pixels, (*behind, (0, 0)), mode="symmetric")
    whole = whole_objects(np.pad(labels.astype(np.int32), behind, mode="symmetric"))
    flows = np.round(np.moveaxis(flows_of(whole), 0, -1) * _FLOW_STEPS).astype(np.int8)
    flat = example.pixels.reshape(-1, 3)
    some = np.random.default_rng(0).integers(0, len(flat), _REFERENCE_PIXELS)
    inner = np.array([height, width])
    return {"pixels": pixels, "labels": whole, "flows": flows, "reference": flat[some], "inner": inner}


def _write(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)


class Sampler:
    """Draws examples: the kind by its share, then a group of it, then an image; large groups come somewhat oftener."""

    def __init__(self, examples: Iterable[Prepared], shares: dict[str, float]) -> None:
        self._kinds: dict[str, dict[str, list[Prepared]]] = {}
        for example in examples:
            self._kinds.setdefault(example.kind, {}).setdefault(example.group, []).append(example)
        self.names = sorted(self._kinds)
        if shares and (set(shares) != set(self.names) or min(shares.values()) <= 0):
            raise InvalidArgument(f"shares must be positive numbers of these kinds: {', '.join(self.names)}")
        weights = np.array([shares[name] if shares else 1.0 for name in self.names])
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Prepared:
        groups = self._kinds[self.names[int(rng.choice(len(self.names), p=self._shares))]]
        sizes = np.sqrt([len(images) for images in groups.values()])
        images = list(groups.values())[int(rng.choice(len(groups), p=sizes / sizes.sum()))]
        return images[int(rng.integers(len(images)))]
