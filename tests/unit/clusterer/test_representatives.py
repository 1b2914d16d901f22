"""What a cluster shows beside its typical cells, and which cluster a cell in none is like."""

from __future__ import annotations

import numpy as np

from morula.clusterer import core
from morula.clusterer.features import Features
from morula.clusterer.labeller.learn import Board
from morula.clusterer.labeller.representatives import SHOWN, examples, nearest, noise, sketch
from morula.common.formats import NOISE_LEAF

BETWEEN, FAR, LOST, UNKNOWN = 0, 1, 2, 3


def laid() -> tuple[Board, int, int]:
    """Two kinds of cells, and of the first one between the kinds and one far from both; two are in no cluster."""
    rng = np.random.default_rng(4)
    matrix = rng.normal(0, 1, (900, 4)).astype(np.float16)
    matrix[450:, 0] += 12
    matrix[BETWEEN], matrix[FAR] = (5.5, 0, 0, 0), (0, 9, 0, 0)
    made = core.cluster(Features(matrix, ("a", "b", "c", "d"), 4, None), core.Params())
    leaf = made.leaf.copy()
    node_of_leaf = np.asarray(made.tree.node_of_leaf(2))
    first, second = (int(node_of_leaf[leaf[row]]) for row in (10, 800))
    for row in (BETWEEN, FAR):  # Whatever k-means made of them.
        leaf[row] = leaf[10]
    leaf[[LOST, UNKNOWN]] = NOISE_LEAF
    matrix[LOST], matrix[UNKNOWN] = (12, 0, 0, 20), 0
    return Board(matrix, leaf, made.tree, node_of_leaf), first, second


def test_a_cluster_shows_what_lies_at_its_border_and_what_lies_far_out() -> None:
    board, first, second = laid()
    shown = examples(board, sketch(board.matrix, board.leaf, board.tree.leaf_count, 0))
    assert shown.keys() == {first, second}
    for node_id, one in shown.items():
        rows = [cell.row for cell in one.borderline]
        assert len(rows) == len(one.outlying) == SHOWN
        assert not set(rows) & set(one.outlying.tolist())
        assert set(board.node_of_leaf[board.leaf[[*rows, *one.outlying]]]) == {node_id}
    assert (shown[first].borderline[0].row, shown[first].borderline[0].node_id) == (BETWEEN, second)
    assert shown[first].outlying[0] == FAR


def test_the_only_cluster_borders_on_none() -> None:
    board, _, _ = laid()
    whole = Board(board.matrix, board.leaf, board.tree, np.full_like(board.node_of_leaf, board.tree.root))
    shown = examples(whole, sketch(board.matrix, board.leaf, board.tree.leaf_count, 0))
    assert shown[board.tree.root].borderline == []
    assert len(shown[board.tree.root].outlying) == SHOWN


def test_cells_in_no_cluster_are_told_with_the_one_that_is_nearest() -> None:
    board, _, second = laid()
    drawn = sketch(board.matrix, board.leaf, board.tree.leaf_count, 0)
    left = noise(board, drawn)
    assert left is not None
    assert left.cell_count == len(left.shown) == np.count_nonzero(board.leaf == NOISE_LEAF)
    assert {(LOST, second), (UNKNOWN, 0)} <= {(cell.row, cell.node_id) for cell in left.shown}
    assert nearest(board, drawn, np.array([800, UNKNOWN])).tolist() == [second, 0]
    inside = board.leaf != NOISE_LEAF
    assert noise(Board(board.matrix[inside], board.leaf[inside], board.tree, board.node_of_leaf), drawn) is None
