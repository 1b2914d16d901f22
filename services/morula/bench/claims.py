"""What the labeller says of its own labels, beside what is true of the cells that nobody saw.

A simulated annotator labels pages of painted slides whose truth is known, then accepts pages without looking at them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from morula.bench.fields import Finder, cells_of, finder
from morula.bench.report import Case
from morula.clusterer import core, features
from morula.clusterer.labeller import learn, pages
from morula.clusterer.labeller.learn import Board, Learnt
from morula.clusterer.labeller.names import Seen, class_of_leaf
from morula.common.models import find
from morula.demo.truth import NOBODY, Truth, match
from morula.synth import MPP, make_slide

SEEDS = (771_001, 771_002, 771_003, 771_004, 771_005)
"""Nothing was tuned on these."""
SIDE_PX = 2048
TILE_PX = 512
PAGE_COUNTS = (5, 10, 20)
BLIND_COUNT = 10
NEIGHBOURS = 8
NOT_A_CELL = 250
BOUND = "<=0.07"

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Painted:
    """A painted slide as the labeller has it, with the class of each cell that was found."""

    board: Board
    truth: Rows
    tile: Rows


@dataclass(frozen=True)
class Claim:
    """What is said and what is true after so many pages."""

    when: str
    claimed: float
    low: float
    high: float
    true: float
    coverage: float
    cell_count: int


def cases() -> list[Case]:
    """Claimed beside true, mean of the slides, and how far they lie from each other."""
    with finder() as find_cells:
        claims = [claim for seed in SEEDS for claim in claims_of(painted(seed, find_cells))]
    results: list[Case] = []
    for when in dict.fromkeys(claim.when for claim in claims):
        here = [claim for claim in claims if claim.when == when]
        results.extend(
            Case(f"{name} {when}", _mean([getattr(claim, name) for claim in here]), "share")
            for name in ("claimed", "true", "coverage")
        )
        results.append(Case(f"claimed minus true {when}", _error(here), "mean absolute"))
    inside = [claim.low <= claim.true <= claim.high for claim in claims]
    return [
        *results,
        Case("true accuracy lies in its 95 % interval", _mean([float(one) for one in inside]), "share"),
        Case("claimed minus true accuracy on unseen cells", _error(claims), "mean absolute", BOUND),
    ]


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 4)


def _error(claims: list[Claim]) -> float:
    return _mean([abs(claim.claimed - claim.true) for claim in claims])


def painted(seed: int, find_cells: Finder, side_px: int = SIDE_PX) -> Painted:
    """Paints a slide and finds, measures and clusters its cells, without servers."""
    with tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
        made = make_slide(Path(scratch) / "slide.tiff", side_px, side_px, seed)
        pixels = tifffile.imread(made.slide, level=0)
        true = Truth.read(made.cells)
    cells = cells_of(np.ascontiguousarray(pixels), MPP, find_cells)
    names = sorted(set(true.names.tolist()))
    matched = match(cells.centroids, true).truth_of_cell
    numbers = np.asarray([1 + names.index(name) for name in true.names.tolist()])
    spec = find("morphology", "embedder")
    scale = features.Scale(spec.columns, spec.location, spec.scale)
    x_um, y_um = cells.centroids.T * MPP
    built = features.build([features.SlideVectors(cells.vectors(), x_um, y_um)], scale, NEIGHBOURS)
    clustered = core.cluster(built, core.Params(seed=seed))
    cut = np.asarray(clustered.tree.node_of_leaf(clustered.tree.cluster_count), np.int64)
    column, row = (cells.centroids.T // TILE_PX).astype(np.int64)
    return Painted(
        board=Board(built.matrix, clustered.leaf, clustered.tree, cut),
        truth=np.where(matched == NOBODY, NOT_A_CELL, numbers[matched]),
        tile=row * (side_px // TILE_PX) + column,
    )


class Sitting:
    """An annotator at a board."""

    def __init__(self, slide: Painted) -> None:
        self._slide = slide
        self._past: list[pages.PagePlace] = []
        self._layers: pages.Layers | None = None
        self.shown_rows = np.zeros(0, np.int64)
        self._seen = Seen(*(np.zeros(0, np.int64) for _ in range(5)))
        self.learnt: Learnt | None = None

    def look(self) -> None:
        """Names the next page with what its cells are."""
        page = self._next()
        if page is not None:
            self._say(page, self._slide.truth[page.rows])

    def accept(self) -> None:
        """Enter, without a look: whatever the cells are labelled with; a page without pre-labels is put off."""
        page = self._next()
        if page is not None and page.classes.any():
            self._say(page, page.classes)

    def _next(self) -> pages.Page | None:
        page = pages.next_page(self._slide.board, self._layers, self.shown_rows, self._past, pages.Wish())
        if page is not None:
            self.shown_rows = np.concatenate([self.shown_rows, page.rows])
            self._past.append(page.place)
        return page

    def _say(self, page: pages.Page, classes: Rows) -> None:
        number = np.full(len(page.rows), len(self._past))
        more = (page.rows, classes, self._slide.tile[page.rows], number, page.classes)
        self._seen = Seen(*(np.concatenate(both) for both in zip(vars(self._seen).values(), more, strict=True)))
        self.learnt = learn.learn(self._slide.board, self._seen, {})
        if self.learnt.classes is not None and self.learnt.confidence is not None:
            self._layers = pages.Layers(self.learnt.classes, self.learnt.confidence)


def claims_of(slide: Painted) -> Iterator[Claim]:
    """After each number of pages, after blind ones that follow the last of these, and after blind ones halfway."""
    sitting = Sitting(slide)
    for number in range(1, max(PAGE_COUNTS) + 1):
        sitting.look()
        if number in PAGE_COUNTS:
            yield _claim(slide, sitting, f"after {number} pages")
    for looked_at in (PAGE_COUNTS[-1], PAGE_COUNTS[-2]):
        if looked_at != PAGE_COUNTS[-1]:
            sitting = Sitting(slide)
            for _ in range(looked_at):
                sitting.look()
        for _ in range(BLIND_COUNT):
            sitting.accept()
        yield _claim(slide, sitting, f"after {looked_at} pages and {BLIND_COUNT} blind Enters")


def _claim(slide: Painted, sitting: Sitting, when: str) -> Claim:
    if sitting.learnt is None:
        raise ValueError("no page was labelled")
    named = _spread(slide.board, sitting.learnt)
    unseen = np.ones(len(named), bool)
    unseen[sitting.shown_rows] = False
    labelled = unseen & (named > 0)
    judged = sitting.learnt.held_out
    return Claim(
        when=when,
        claimed=judged.accuracy,
        low=judged.low,
        high=judged.high,
        true=float((named[labelled] == slide.truth[labelled]).mean()),
        coverage=float(labelled.sum() / unseen.sum()),
        cell_count=judged.cell_count,
    )


def _spread(board: Board, learnt: Learnt) -> Rows:
    if learnt.spread == "model" and learnt.classes is not None:
        return learnt.classes.astype(np.int64)
    of_leaf = np.zeros(65536, np.int64)
    of_leaf[: len(board.node_of_leaf)] = class_of_leaf(board.node_of_leaf, learnt.names)
    return of_leaf[board.leaf]
