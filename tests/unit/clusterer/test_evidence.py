"""What is said of cells that nobody saw rests on cells that are evidence, and on nothing that leaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from morula.clusterer.labeller import evidence, logistic
from morula.clusterer.labeller.evidence import Judged
from morula.clusterer.labeller.names import Seen

pytestmark = pytest.mark.usefixtures("one_thread")
RNG = np.random.default_rng(7)
NODES = [1, 2]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As `learn` has it: threads cost more here than they bring."""
    with threadpool_limits(1):
        yield


def seen(page_count: int = 12, shown: int = 0) -> tuple[np.ndarray, Seen]:
    """Pages of ten cells of no kind: each page has a class that was drawn, a place of its own, and one tile."""
    pages = np.repeat(np.arange(1, page_count + 1), 10)
    classes = RNG.integers(1, 3, page_count)[pages - 1]
    places = RNG.normal(0, 3, (page_count, 6))[pages - 1]
    rows = (places + RNG.normal(0, 0.3, (len(pages), 6))).astype(np.float32)
    return rows, Seen(np.arange(len(pages)), classes, pages % 6, pages, np.full(len(pages), shown))


def judged(rows: np.ndarray, cells: Seen) -> Judged:
    return evidence.judge(rows, cells, NODES, {}, np.where(cells.pages % 2, 1, 2))


def accuracy(rows: np.ndarray, cells: Seen) -> float:
    found = judged(rows, cells)
    return float((found.by_model == found.truth).mean())


def test_a_page_s_own_cells_do_not_speak_for_it() -> None:
    """What a page was named says nothing of other pages here: a cell in train and another in test would know it."""
    assert np.mean([accuracy(*seen()) for _ in range(3)]) < 0.65


def test_a_tile_s_own_cells_do_not_speak_for_it() -> None:
    """The same, where it is the tile that the cells of several pages share."""
    rows, cells = seen()
    mixed = replace(cells, pages=1 + np.arange(len(rows)) % 12, groups=cells.pages)
    assert accuracy(rows, mixed) < 0.75
    assert accuracy(rows, replace(mixed, groups=np.arange(len(rows)))) > 0.95


@pytest.mark.parametrize("page_count", [1, 2])
def test_one_page_is_judged_by_nothing(page_count: int) -> None:
    rows, cells = seen(page_count)
    assert len(judged(rows, cells).places) == (0 if page_count == 1 else 20)


def test_pages_accepted_as_they_were_labelled_are_no_evidence_and_teach_the_judges_nothing() -> None:
    rows, cells = seen(12)
    blind = cells.pages > 8
    shown = np.where(blind, cells.classes, 0)
    found = judged(rows, replace(cells, shown=shown))
    assert set(found.pages.tolist()) == set(range(1, 9))
    few = cells.take(np.flatnonzero(~blind))
    assert found.by_model.tolist() == judged(rows[~blind], few).by_model.tolist()
    corrected = shown.copy()
    corrected[cells.pages == 10] = 3 - cells.classes[cells.pages == 10]
    assert 10 in judged(rows, replace(cells, shown=corrected)).pages


def test_cells_set_by_themselves_are_not_judged() -> None:
    rows, cells = seen(6)
    alone = replace(cells, pages=np.where(cells.pages == 2, 0, cells.pages))
    assert not np.isin(judged(rows, alone).places, np.flatnonzero(alone.pages == 0)).any()


def test_a_cluster_counts_by_the_cells_in_it_that_nobody_saw() -> None:
    node = np.array([1] * 30 + [2] * 30)
    weight = evidence.weights(node, {1: 900, 2: 100})
    assert weight.sum() == pytest.approx(1.0)
    assert 0.8 < weight[:30].sum() < 0.9
    lonely = evidence.weights(node, {1: 500, 3: 500})
    assert lonely.sum() == pytest.approx(1.0), "a cluster of which no cell was judged is taken to be like all"
    assert lonely[30:].min() > 0


def test_the_interval_knows_that_cells_of_a_page_are_no_independent_witnesses() -> None:
    right = np.repeat([True, False, True, True, False, True, True, True], 12)
    weight = np.full(len(right), 1 / len(right))
    by_page = evidence.estimate(right, weight, np.repeat(np.arange(8), 12))
    by_cell = evidence.estimate(right, weight, np.arange(len(right)))
    assert by_page.accuracy == by_cell.accuracy == 0.75
    assert by_page.high - by_page.low > 2 * (by_cell.high - by_cell.low)
    halfway = evidence.estimate(right, weight, np.repeat(np.arange(8), 12), 0.85)
    assert halfway.accuracy == pytest.approx(0.8)
    assert halfway.low < 0.75 < 0.85 < halfway.high
    assert evidence.estimate(right[:12], weight[:12] * 8, np.zeros(12)).low == 0.0


def test_names_spread_only_where_they_do_better_by_more_than_pages_differ() -> None:
    pages = np.repeat(np.arange(8), 5)
    truth = np.ones(40, np.int64)
    other = np.where((np.arange(40) % 5 < 2) & (pages < 6), 2, 1)
    scores = np.zeros((40, 2), np.float32)
    nothing = logistic.fit(np.zeros((0, 1), np.float32), truth[:0])
    same = Judged(np.arange(40), pages, truth, truth, other, truth, truth, scores, np.array([1, 2]), nothing)
    weight = np.full(40, 1 / 40)
    assert evidence.names_do_better(same, weight)
    once = replace(same, by_model=np.where(np.arange(40) < 5, 2, 1))
    assert not evidence.names_do_better(once, weight), "one page is chance"
    assert not evidence.names_do_better(replace(same, by_model=truth, by_names=other), weight)


def test_folds_keep_groups_together() -> None:
    groups = np.random.default_rng(0).integers(0, 23, 400)
    fold = evidence.folds(groups, 5)
    assert set(fold) == set(range(5))
    assert len(set(zip(groups, fold, strict=True))) == len(set(groups))
    assert np.bincount(fold).min() > 0.6 * np.bincount(fold).max()
