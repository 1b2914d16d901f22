"""How well the cells of slides mix: whether the cells most like one lie on other slides as often as by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from morula.clusterer.arrays import Doubles, Floats, Halves, chunks, sample_rows, squared_distances

NEIGHBOURS = 15
CELLS_OF_A_SLIDE = 1000
"""As many of each, so that chance is the same for all; of more, many would be neighbours in the tissue and so alike."""
CELLS_OF_ALL = 6_000
LEAST_CELLS = 50
"""Of fewer nobody can say whether they mix."""
LEVEL = 0.95


@dataclass(frozen=True)
class Mixing:
    """1 where the nearest cells are of other slides as often as by chance, 0 where they never are."""

    score: float
    """Mean over the slides that have one."""
    low: float
    high: float
    """Student's interval of 95 % over these slides."""
    slides: tuple[float | None, ...]
    """Of each slide; None where it has too few cells."""


def of_json(stored: dict[str, Any]) -> Mixing:
    return Mixing(stored["score"], stored["low"], stored["high"], tuple(stored["slides"]))


def mixing(own: Halves, known: NDArray[np.bool_], counts: Sequence[int], seed: int) -> Mixing | None:
    """Of features of cells themselves, slide after slide, where they are known; None where fewer than two slides have
    enough of such cells."""
    of_slide = [
        start + np.flatnonzero(known[start : start + count])
        for start, count in zip(np.cumsum([0, *counts]), counts, strict=False)
    ]
    enough = [number for number, rows in enumerate(of_slide) if len(rows) >= LEAST_CELLS]
    if len(enough) < 2:
        return None
    each = min(CELLS_OF_A_SLIDE, max(1, CELLS_OF_ALL // len(enough)), *(len(of_slide[number]) for number in enough))
    rows = [of_slide[number][sample_rows(len(of_slide[number]), each, seed)] for number in enough]
    shares = _shares_of_others(np.asarray(own[np.concatenate(rows)], np.float32), len(enough), each)
    by_chance = (len(enough) - 1) * each / (len(enough) * each - 1)
    scores = shares / by_chance
    middle = float(scores.mean())
    reach = float(student.ppf((1 + LEVEL) / 2, len(scores) - 1) * scores.std(ddof=1) / len(scores) ** 0.5)
    of_each = dict(zip(enough, scores.round(4).tolist(), strict=True))
    told = tuple(of_each.get(number) for number in range(len(counts)))
    return Mixing(round(middle, 4), round(max(0.0, middle - reach), 4), round(middle + reach, 4), told)


def _shares_of_others(cells: Floats, slide_count: int, each: int) -> Doubles:
    """For each slide, how many of its cells' nearest neighbours are of others; it has `each` of the cells, in order."""
    slide = np.repeat(np.arange(slide_count), each)
    # Of fewer cells than so many neighbours some are of other slides in any case.
    nearest = max(1, min(NEIGHBOURS, each // 2))
    others = np.empty(len(cells))
    for rows in chunks(len(cells), len(cells)):
        apart = squared_distances(cells[rows], cells)
        here = np.arange(rows.start, rows.stop)
        apart[here - rows.start, here] = np.inf
        found = np.argpartition(apart, nearest - 1, axis=1)[:, :nearest]
        others[rows] = (slide[found] != slide[rows, None]).mean(axis=1)
    return np.asarray(others.reshape(slide_count, each).mean(axis=1))
