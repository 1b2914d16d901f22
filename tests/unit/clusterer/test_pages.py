"""Which page comes next."""

from __future__ import annotations

import numpy as np
import pytest

from morula.clusterer import core
from morula.clusterer.labeller import pages
from morula.clusterer.labeller.learn import Board
from morula.clusterer.labeller.pages import Layers, Wish, next_page
from morula.common.formats import NOISE_LEAF
from tests.unit.clusterer.clouds import features, kinds

ROWS = 1500
NOTHING = np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def board() -> Board:
    rows = features(kinds(ROWS, apart=3.0)[0])
    made = core.cluster(rows, core.Params())
    return Board(rows.matrix, made.leaf, made.tree, np.asarray(made.tree.node_of_leaf(20), np.int64))


def layers(confidence: np.ndarray) -> Layers:
    return Layers(np.full(ROWS, 3, np.uint8), confidence.astype(np.uint8))


def test_the_biggest_clusters_come_first_each_once(board: Board) -> None:
    past: list[pages.PagePlace] = []
    sizes = []
    for _ in range(pages.FIRST_PAGES):
        page = next_page(board, None, NOTHING, past, Wish())
        assert page is not None
        assert (page.reason, page.place[1]) == ("largest_cluster", NOISE_LEAF)
        sizes.append(board.tree.node(page.place[0]).cell_count)
        past.append(page.place)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(past)) == pages.FIRST_PAGES


def test_then_where_most_cells_are_least_sure(board: Board) -> None:
    past = [(0, NOISE_LEAF)] * pages.FIRST_PAGES
    confidence = np.where(board.leaf == 5, 10, 250)
    page = next_page(board, layers(confidence), NOTHING, past, Wish())
    assert page is not None
    assert page.place == (int(board.node_of_leaf[5]), 5)
    assert page.reason == "least_sure"
    assert page.worth == np.count_nonzero(board.leaf == 5) / ROWS
    assert set(page.classes) == {3}
    again = next_page(board, layers(confidence), page.rows, [*past, page.place], Wish())
    assert again is not None
    assert again.place[1] != 5


def test_no_row_is_shown_twice_until_all_were_seen(board: Board) -> None:
    rng = np.random.default_rng(0)
    shown = NOTHING
    past: list[pages.PagePlace] = []
    for _ in range(ROWS):
        page = next_page(board, layers(rng.integers(0, 255, ROWS)), shown, past, Wish())
        if page is None:
            break
        assert not np.isin(page.rows, shown).any()
        assert len(past) < 2 or page.place != past[-1] or len(shown) > 0.9 * ROWS
        shown, past = np.concatenate([shown, page.rows]), [*past, page.place]
    assert len(shown) == np.count_nonzero(board.leaf != NOISE_LEAF)


def test_the_same_call_gives_the_same_page(board: Board) -> None:
    first, again = (next_page(board, None, NOTHING, [], Wish(seed=4)) for _ in range(2))
    other = next_page(board, None, NOTHING, [], Wish(seed=5))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.rows.tolist() == again.rows.tolist() != other.rows.tolist()


def test_worth_falls_as_cells_become_sure(board: Board) -> None:
    node = int(board.node_of_leaf[0])
    wish = Wish(node_id=node)
    unsure, sure = (next_page(board, layers(np.full(ROWS, value)), NOTHING, [], wish) for value in (10, 250))
    assert unsure is not None
    assert sure is not None
    assert unsure.worth > 0 == sure.worth
    assert unsure.reason == "requested"


def test_abstained_rows_have_no_pre_label(board: Board) -> None:
    page = next_page(board, Layers(np.full(ROWS, 255, np.uint8), np.zeros(ROWS, np.uint8)), NOTHING, [], Wish())
    assert page is not None
    assert not page.classes.any()
