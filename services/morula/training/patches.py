"""Patches put together again to the image that they were cut from, and cells that a seam had cut made whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.training.example import Example

Offsets = Sequence[tuple[int, int]]
"""Where each patch begins in the image, as x and y in px."""

_NUMBERED = re.compile(r"(.+)_(\d+)")
# Of the smaller of two parts in what two patches share, or of the longer of two edges at a seam: more is one cell.
_ONE_CELL = 0.5


def joined(patches: Iterable[Example], offsets: Offsets) -> Iterator[Example]:
    """One example for all patches whose names differ only in the number at their end, which counts `offsets`."""
    images: dict[str, dict[int, Example]] = {}
    for patch in patches:
        match = _NUMBERED.fullmatch(patch.name)
        if match is None:
            raise InvalidArgument(f"{patch.key} does not end in the number of a patch")
        numbered = images.setdefault(match[1], {})
        if (other := numbered.setdefault(int(match[2]), patch)) is not patch:
            raise InvalidArgument(f"{other.key} and {patch.key} are one patch: take one out")
    for name, numbered in images.items():
        if sorted(numbered) != list(range(len(offsets))):
            raise InvalidArgument(f"{name} has {len(numbered)} patches, {len(offsets)} offsets are given")
        parts = [numbered[number] for number in range(len(offsets))]
        if len({(part.group, part.kind, part.mpp) for part in parts}) > 1:
            raise InvalidArgument(f"patches of {name} are of more than one group, kind or scale")
        yield replace(parts[0], name=name, pixels=_pixels(parts, offsets), labels=_labels(parts, offsets))


def _pixels(parts: Sequence[Example], offsets: Offsets) -> NDArray[np.uint8]:
    image = np.zeros((*_shape(parts, offsets), 3), np.uint8)
    for part, (x, y) in zip(parts, offsets, strict=True):
        image[y : y + part.pixels.shape[0], x : x + part.pixels.shape[1]] = part.pixels
    return image


def _shape(parts: Sequence[Example], offsets: Offsets) -> tuple[int, int]:
    ends = [(y + part.labels.shape[0], x + part.labels.shape[1]) for part, (x, y) in zip(parts, offsets, strict=True)]
    return max(end[0] for end in ends), max(end[1] for end in ends)


def _labels(parts: Sequence[Example], offsets: Offsets) -> NDArray[np.int32]:
    image = np.zeros(_shape(parts, offsets), np.int32)
    same: list[tuple[int, int]] = []
    count = 0
    for part, (x, y) in zip(parts, offsets, strict=True):
        own = np.where(part.labels > 0, part.labels + count, 0)
        count += int(part.labels.max(initial=0))
        there = image[y : y + own.shape[0], x : x + own.shape[1]]
        same += _overlapping(there, own)
        there[there == 0] = own[there == 0]
    for x in {x for x, _ in offsets if x}:
        same += _touching(image[:, x - 1], image[:, x])
    for y in {y for _, y in offsets if y}:
        same += _touching(image[y - 1], image[y])
    return _named(count, same)[image]


def _overlapping(there: NDArray[np.int32], own: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Labels that two patches give to one cell, in what both show."""
    both = (there > 0) & (own > 0)
    pairs, shared = np.unique(np.stack([there[both], own[both]]), axis=1, return_counts=True)
    areas = np.bincount(own.ravel()), np.bincount(there.ravel())
    return [
        (int(before), int(after))
        for (before, after), pixels in zip(pairs.T, shared, strict=True)
        if pixels > _ONE_CELL * min(areas[0][after], areas[1][before])
    ]


def _touching(before: NDArray[np.int32], after: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Labels on both sides of a seam that meet along most of their edges there: a cell that the seam had cut."""
    both = (before > 0) & (after > 0) & (before != after)
    pairs, shared = np.unique(np.stack([before[both], after[both]]), axis=1, return_counts=True)
    return [
        (int(one), int(other))
        for (one, other), pixels in zip(pairs.T, shared, strict=True)
        if pixels > _ONE_CELL * max((before == one).sum(), (after == other).sum())
    ]


def _named(count: int, same: Iterable[tuple[int, int]]) -> NDArray[np.int32]:
    """The label of each label: the smallest of all that are the same."""
    names = np.arange(count + 1, dtype=np.int32)

    def first(label: int) -> int:
        while names[label] != label:
            label = int(names[label])
        return label

    for one, other in same:
        low, high = sorted((first(one), first(other)))
        names[high] = low
    return np.array([first(label) for label in range(count + 1)], np.int32)
