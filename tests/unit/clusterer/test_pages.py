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


def test_the_whole_comes_first_then_its_parts_each_once_and_of_every_second_the_least_sure(
    board: Board,
) -> None:
    past: list[pages.PagePlace] = []
    sizes, reasons = [], []
    for _ in range(pages.FIRST_PAGES + 6):
        page = next_page(board, layers(np.zeros(ROWS)) if past else None, NOTHING, past, Wish())
        assert page is not None
        assert page.place[1] == NOISE_LEAF
        sizes.append(board.tree.node(page.place[0]).cell_count)
        reasons.append(page.reason)
        past.append(page.place)
    assert sizes[0] == np.count_nonzero(board.leaf != NOISE_LEAF)
    assert sizes == sorted((node.cell_count for node in board.tree.nodes), reverse=True)[: len(sizes)]
    assert len(set(past)) == len(past)
    assert reasons == ["largest_cluster"] * pages.FIRST_PAGES + ["least_sure", "largest_cluster"] * 3


def test_the_whole_s_page_shows_all_kinds(board: Board) -> None:
    page = next_page(board, None, NOTHING, [], Wish())
    assert page is not None
    assert set(kinds(ROWS, apart=3.0)[1][page.rows]) == {0, 1, 2, 3}


def every_node(board: Board) -> list[pages.PagePlace]:
    """A page of each, the whole's last."""
    return [(node.id, NOISE_LEAF) for node in sorted(board.tree.nodes, key=lambda node: node.cell_count)]


def test_once_all_were_shown_the_one_with_most_doubt(board: Board) -> None:
    past = every_node(board)
    node = int(board.node_of_leaf[5])
    inside = np.isin(board.leaf, np.flatnonzero(board.node_of_leaf == node))
    page = next_page(board, layers(np.where(inside, 10, 250)), NOTHING, past, Wish())
    assert page is not None
    assert (page.place, page.reason) == ((node, NOISE_LEAF), "least_sure")
    assert page.worth == np.count_nonzero(inside) / ROWS
    assert set(page.classes) == {3}
    again = next_page(board, layers(np.where(inside, 10, 250)), page.rows, [*past, page.place], Wish())
    assert again is not None
    assert again.place != page.place


def test_of_a_cluster_in_doubt_the_cells_that_are_least_sure(board: Board) -> None:
    past = every_node(board)
    sizes = np.bincount(board.node_of_leaf, np.bincount(board.leaf[board.leaf != NOISE_LEAF]))
    node = int(sizes.argmax())
    inside = np.flatnonzero(np.isin(board.leaf, np.flatnonzero(board.node_of_leaf == node)))
    count = max(pages.LEAST_SURE_PAGES * 6, int(len(inside) * pages.LEAST_SURE_SHARE))
    least = np.random.default_rng(0).choice(inside, count, replace=False)
    confidence = np.full(ROWS, 255)
    confidence[inside] = 150
    confidence[least] = 140
    page = next_page(board, layers(confidence), NOTHING, past, Wish(cell_count=6))
    assert page is not None
    assert page.place == (node, NOISE_LEAF)
    assert set(page.rows.tolist()) <= set(least.tolist())


def test_a_cluster_draws_less_with_each_page_that_came_from_it(board: Board) -> None:
    """All doubt is equal: every cluster of some size has its turn before any has many."""
    past = every_node(board)
    for _ in range(12):
        page = next_page(board, layers(np.full(ROWS, 100)), NOTHING, past, Wish())
        assert page is not None
        past.append(page.place)
    assert len(set(past[-12:])) >= 6


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
