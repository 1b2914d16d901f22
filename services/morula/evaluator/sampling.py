"""Samples tiles for people to label: balanced between slides, to a budget of cells, divided into batches.

As the published system does it tiles are shuffled and taken greedily. Otherwise than there every tile that is taken
comes into a batch, slides that have little are made up for by others, and what is left out is said.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument

Ints = NDArray[np.int64]
Reason = Literal["no_cells", "budget"]


@dataclass(frozen=True)
class Offer:
    """A slide's tiles, and how many cells each has."""

    name: str
    """Its own among these slides: the order in which they come changes nothing."""
    tiles: Ints
    cells: Ints


@dataclass(frozen=True)
class Sampled:
    """A tile that was taken, for the batch of this number, from 1."""

    batch: int
    slide: int
    tile: int
    cells: int


@dataclass(frozen=True)
class LeftOut:
    """Tiles of a slide that were not taken, and why: they have no cells, or the budget was spent."""

    slide: int
    reason: Reason
    tiles: int
    cells: int


@dataclass(frozen=True)
class Sample:
    """Each batch's tiles in the order in which to show them, and all others."""

    tiles: list[Sampled]
    left_out: list[LeftOut]


def sample(slides: Sequence[Offer], batch_count: int, cells_per_batch: int, seed: int) -> Sample:
    """Tiles until the budget is met and each batch has one; the same for the same slides, numbers and seed."""
    chance = np.random.default_rng(seed)
    order = sorted(range(len(slides)), key=lambda number: slides[number].name)
    chance.shuffle(order)
    shuffled = {number: _shuffled(slides[number], chance) for number in order}
    there = sum(len(places) for places in shuffled.values())
    if there < batch_count:
        raise InvalidArgument(f"{batch_count} batches need as many tiles with cells, and there are {there}")
    taken = _take(slides, shuffled, batch_count * cells_per_batch, batch_count)
    batches = _divide(slides, {number: shuffled[number][:count] for number, count in taken.items()}, batch_count)
    for batch in batches:
        chance.shuffle(batch)
    sampled = [
        Sampled(number, slide, int(slides[slide].tiles[place]), int(slides[slide].cells[place]))
        for number, batch in enumerate(batches, 1)
        for slide, place in batch
    ]
    return Sample(sampled, [one for number in range(len(slides)) for one in _left(slides, shuffled, taken, number)])


def _shuffled(slide: Offer, chance: np.random.Generator) -> list[int]:
    """Places of its tiles that have cells."""
    by_number = np.argsort(slide.tiles, kind="stable")
    with_cells = by_number[slide.cells[by_number] > 0]
    return [int(place) for place in chance.permutation(with_cells)]


def _take(slides: Sequence[Offer], shuffled: dict[int, list[int]], budget: int, least: int) -> dict[int, int]:
    """How many tiles each slide gives: the next is always of the slide that gave the fewest cells so far."""
    taken = dict.fromkeys(shuffled, 0)
    given = [(0, turn, number) for turn, number in enumerate(shuffled) if shuffled[number]]
    total = 0
    while given and (total < budget or sum(taken.values()) < least):
        so_far, turn, number = heapq.heappop(given)
        cells = int(slides[number].cells[shuffled[number][taken[number]]])
        taken[number] += 1
        total += cells
        if taken[number] < len(shuffled[number]):
            heapq.heappush(given, (so_far + cells, turn, number))
    return taken


def _divide(slides: Sequence[Offer], taken: dict[int, list[int]], batch_count: int) -> list[list[tuple[int, int]]]:
    """Each tile to the batch with the fewest cells: slide after slide, so that a slide's tiles part."""
    batches: list[list[tuple[int, int]]] = [[] for _ in range(batch_count)]
    sizes = [(0, number) for number in range(batch_count)]
    for slide, places in taken.items():
        for place in places:
            cells, number = heapq.heappop(sizes)
            batches[number].append((slide, place))
            heapq.heappush(sizes, (cells + int(slides[slide].cells[place]), number))
    return batches


def _left(slides: Sequence[Offer], shuffled: dict[int, list[int]], taken: dict[int, int], number: int) -> list[LeftOut]:
    over, slide = shuffled[number][taken[number] :], slides[number]
    parts: tuple[tuple[Reason, int, int], ...] = (
        ("no_cells", len(slide.tiles) - len(shuffled[number]), 0),
        ("budget", len(over), int(slide.cells[over].sum())),
    )
    return [LeftOut(number, reason, tiles, cells) for reason, tiles, cells in parts if tiles]
