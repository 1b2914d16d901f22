"""Intervals: slides are drawn again, never cells, and a number is made of each draw's counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Cells, Floats, Ints, Part

LEVEL = 0.95
CHUNK = 4_000_000
"""Counts of so many entries are looked at at once, over all draws together."""
DIGITS = 6
LEAST_DRAWS = 20
"""Of very many slides or tiles, whose weights fill CHUNK in fewer draws than were wanted; each changes little there."""

Over = Literal["slides", "within this slide", "none"]
Drawn = dict[str, NDArray[np.float64]]
"""Numbers by name: of everything first, then of each draw. NaN where a draw has nothing to make a number of."""


@dataclass(frozen=True)
class Groups:
    """What is drawn again, and what is held out together: slides; of one slide its tiles; else nothing is drawn."""

    over: Over
    of_cell: Ints
    count: int
    fold: Ints
    """The fold of each group."""
    slide: Ints
    """The slide of each group."""
    weights: NDArray[np.float64]
    """How often each group counts: once in the first row, then as it was drawn."""

    @property
    def drawn(self) -> Ints:
        """What each group is drawn with: its slide, or itself."""
        return self.slide if self.over == "slides" else np.arange(self.count)

    @property
    def drawn_count(self) -> int:
        return len(np.unique(self.drawn))

    @property
    def draw_count(self) -> int:
        return len(self.weights) - 1

    @property
    def fold_count(self) -> int:
        return int(self.fold.max()) + 1

    def undrawn(self) -> Groups:
        """The same of which nothing is drawn: numbers have no interval."""
        return replace(self, weights=self.weights[:1])

    def fold_of_cell(self) -> Ints:
        return np.asarray(self.fold[self.of_cell])

    def table(self, columns: Ints, column_count: int) -> csr_array:
        """Cells by group and column, from the column of each cell; cells of column -1 are left out."""
        there = columns >= 0
        shape = (self.count, column_count)
        ones = np.ones(int(there.sum()))
        return csr_array((ones, (self.of_cell[there], columns[there])), shape=shape)

    def each(self, table: csr_array, make: Callable[[NDArray[np.float64]], Drawn], checkpoint: Checkpoint) -> Drawn:
        """What `make` says of the table's counts of some draws (a row each), put together for all draws."""
        parts = []
        for weights in self.chunks(table.shape[1]):
            checkpoint()
            parts.append(make(np.asarray((table.T @ weights.T).T)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def chunks(self, columns: int) -> Iterator[NDArray[np.float64]]:
        """Weights of some draws at a time, the fewer the more columns."""
        rows = max(1, CHUNK // max(1, columns))
        for start in range(0, len(self.weights), rows):
            yield self.weights[start : start + rows]


def groups_of(cells: Cells, fold_count: int, draw_count: int, seed: int) -> Groups:
    """Slides where there are several; of one slide its tiles; else parts at random, which are never drawn again.

    Where clusters of each slide are its own, slides are drawn, and tiles of each are held out.
    """
    rng = np.random.default_rng(seed)
    over, part = _drawn_over(cells)
    if part is None:
        # None of them is empty: something can be named by and scored on each.
        codes = rng.permutation(len(cells)) % min(fold_count, len(cells))
    else:
        codes = np.unique(part.codes, return_inverse=True)[1].ravel()
    count = int(codes.max()) + 1
    draws = min(draw_count, max(LEAST_DRAWS, CHUNK // count)) if part is not None else 0
    slide = np.arange(count) if over == "slides" else np.zeros(count, np.int64)
    # Folds come first: how often is drawn changes no value.
    if over == "slides" and cells.is_apart:
        codes, slide = _within(cells, codes, fold_count, rng)
        fold = _folds(slide, fold_count, rng)
    else:
        fold = rng.permutation(count) % min(fold_count, count)
    weights = np.concatenate([np.ones((1, count)), rng.multinomial(count, np.full(count, 1 / count), draws)])
    weights = weights[:, slide] if over == "slides" else weights
    return Groups(over, codes, len(fold), fold, slide, weights[_can_be_named(weights, fold)])


def _can_be_named(weights: NDArray[np.float64], fold: Ints) -> NDArray[np.bool_]:
    """Draws of more than one fold: of one alone there is nothing left to name it on, and a 0 would be no measure."""
    folds = np.equal.outer(fold, np.unique(fold))
    return np.asarray(((weights > 0) @ folds).sum(axis=1) > min(1, folds.shape[1] - 1))


def _within(cells: Cells, slide: Ints, fold_count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Tiles of each slide, and the slide of each; a slide of one tile is divided at random."""
    tile = np.zeros(len(cells), np.int64) if cells.tile is None else cells.tile.codes
    pairs = np.unique(np.column_stack([slide, tile]), axis=0)
    several = np.bincount(pairs[:, 0]) > 1
    unit = np.where(several[slide], tile, rng.integers(0, fold_count, len(cells)))
    width = max(int(tile.max()) + 1, fold_count)
    groups, codes = np.unique(slide * width + unit, return_inverse=True)
    return codes.ravel(), groups // width


def _folds(slide: Ints, fold_count: int, rng: np.random.Generator) -> Ints:
    """Folds of groups, as many of each slide in each as there can be."""
    order = np.lexsort((rng.random(len(slide)), slide))
    starts = np.flatnonzero(np.diff(slide[order], prepend=-1))
    rank = np.arange(len(slide)) - np.repeat(starts, np.diff(starts, append=len(slide)))
    fold = np.empty(len(slide), np.int64)
    fold[order] = rank % fold_count
    return fold


def _drawn_over(cells: Cells) -> tuple[Over, Part | None]:
    for over, part in (("slides", cells.slide), ("within this slide", cells.tile)):
        if part is not None and len(np.unique(part.codes)) > 1:
            return over, part  # type: ignore[return-value]
    return "none", None


def number(drawn: NDArray[np.float64], n: int) -> dict[str, Any]:
    """A number as it is told: of everything, and the interval in which 95 % of the draws lie. Null is not known.

    Slides that are drawn twice make small clusters look purer than they are: the interval is moved so that the middle
    draw lies at the value, but not to where no draw was: no share is told to be below 0.
    """
    value, draws = drawn[0], drawn[1:][np.isfinite(drawn[1:])]
    low, high = np.nan, np.nan
    if len(draws) and np.isfinite(value):
        low, middle, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
        ends = [low + value - middle, high + value - middle]
        low, high = np.clip(ends, min(value, draws.min()), max(value, draws.max()))
    return {"value": _told(value), "low": _told(low), "high": _told(high), "n": int(n)}


def numbers(drawn: Mapping[str, NDArray[np.float64]], n: int) -> dict[str, Any]:
    return {name: number(values, n) for name, values in drawn.items()}


def _told(value: Any) -> float | None:
    return round(float(value), DIGITS) + 0.0 if np.isfinite(value) else None  # No number is told as -0.


def ratio(part: Floats, whole: Floats) -> NDArray[np.float64]:
    """NaN where there is nothing to divide by."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0))
