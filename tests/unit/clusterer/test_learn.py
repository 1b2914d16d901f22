"""What is learnt from a few seen cells, and what is said of it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from morula.clusterer import core
from morula.clusterer.labeller import learn
from morula.clusterer.labeller.learn import Board
from morula.clusterer.labeller.names import Seen, effective_names
from morula.common.scores import macro_f1
from tests.unit.clusterer.clouds import features, kinds

ROWS = 1500


@pytest.fixture(scope="module")
def board() -> Board:
    made = core.cluster(features(kinds(ROWS, apart=4.0)[0]), core.Params())
    cut = np.asarray(made.tree.node_of_leaf(12), np.int64)
    return Board(features(kinds(ROWS, apart=4.0)[0]).matrix, made.leaf, made.tree, cut)


def truth() -> np.ndarray:
    return np.asarray(kinds(ROWS, apart=4.0)[1] + 1)


def seen(rows: np.ndarray, classes: np.ndarray) -> Seen:
    pages = 1 + np.arange(len(rows)) // 9
    return Seen(rows, np.asarray(classes, np.int64), rows % 10, pages, np.zeros(len(rows), np.int64))


def test_separate_kinds_are_learnt_and_the_held_out_score_is_near_the_truth(board: Board) -> None:
    rows = np.random.default_rng(0).choice(ROWS, 180, replace=False)
    learnt = learn.learn(board, seen(rows, truth()[rows]), {})
    assert learnt.classes is not None
    assert learnt.confidence is not None
    unseen = np.setdiff1d(np.arange(ROWS), rows)
    real = macro_f1(truth()[unseen], learnt.classes[unseen].astype(np.int64))
    assert real > 0.93
    assert abs(learnt.held_out.model_macro_f1 - real) < 0.05
    right = learnt.classes[unseen] == truth()[unseen]
    assert abs(learnt.held_out.accuracy - right.mean()) < 0.05
    assert learnt.held_out.low <= right.mean() <= learnt.held_out.high
    assert (learnt.held_out.cell_count, learnt.held_out.page_count) == (180, 20)
    assert learnt.held_out.constant_macro_f1 < 0.2
    assert learnt.spread == "model"
    assert abs((learnt.confidence[unseen] / 255).mean() - right.mean()) < 0.06


def test_layers_have_a_byte_for_each_row_and_equal_bytes_again(board: Board) -> None:
    rows = np.arange(60)
    one, two = (learn.learn(board, seen(rows, truth()[rows]), {}) for _ in range(2))
    assert one.classes is not None
    assert two.classes is not None
    assert len(one.classes) == ROWS
    assert one.classes.tobytes() == two.classes.tobytes()
    assert sum(one.class_counts.values()) == ROWS


def test_one_class_makes_no_model(board: Board) -> None:
    learnt = learn.learn(board, seen(np.arange(30), np.full(30, 2)), {})
    assert (learnt.model, learnt.classes, learnt.confidence) == (None, None, None)
    assert learnt.spread == "clusters"
    assert set(learnt.names.values()) == {2}
    assert learn.learn(board, seen(np.arange(0), np.arange(0)), {}).spread == "none"


def test_names_spread_until_there_are_three_pages(board: Board) -> None:
    rows = np.arange(18)
    assert learn.learn(board, seen(rows, truth()[rows]), {}).spread == "clusters"
    rows = np.arange(27)
    assert learn.learn(board, seen(rows, truth()[rows]), {}).spread == "model"


def test_odd_cells_are_not_trained_on_but_count_against_a_name() -> None:
    nodes = np.array([5, 5, 5, 5, 6, 6])
    assert effective_names([5, 6, 7], {}, nodes, np.array([0, 0, 0, 2, 1, 1])) == {}
    assert effective_names([5], {5: 9}, nodes, np.array([1, 1, 1, 1, 1, 1])) == {5: 9}


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        ([2, 2, 2, 2], None),
        ([2, 2, 2, 2, 2], 2),
        ([2, 2, 2, 1, 1], 2),
        ([2, 2, 2, 1, 1, 1], None),
        ([2, 2, 2, 1, 1, 3, 3], None),
        ([2, 2, 2, 0, 0, 0, 0], None),
    ],
)
def test_a_cluster_is_named_by_more_than_half_of_at_least_five_seen_cells(classes: list[int], name: int | None) -> None:
    found = effective_names([5, 6], {}, np.full(len(classes), 5), np.array(classes))
    assert found == ({} if name is None else {5: name})


def test_one_page_names_the_cells_of_its_own_cluster_alone(board: Board) -> None:
    node = int(board.node_of_leaf[board.leaf[0]])
    inside = np.flatnonzero(np.isin(board.leaf, np.flatnonzero(board.node_of_leaf == node)))
    rows = inside[:12]
    learnt = learn.learn(board, seen(rows, np.full(12, 2)), {})
    assert learnt.names == {node: 2}
    assert learnt.class_counts == {2: len(inside)}
    assert len(inside) < ROWS / 2


def test_what_did_better_on_held_out_pages_spreads(board: Board) -> None:
    """Classes that clusters know and no line can tell: the names win, and it is said."""
    rows = np.random.default_rng(1).choice(ROWS, 200, replace=False)
    nodes = sorted(set(board.node_of_leaf.tolist()))
    named = {node: 1 + place % 2 for place, node in enumerate(nodes)}
    inside = rows[board.leaf[rows] < len(board.node_of_leaf)]
    classes = np.array([named[int(board.node_of_leaf[board.leaf[row]])] for row in inside])
    learnt = learn.learn(board, seen(inside, classes), named)
    assert learnt.held_out.cluster_macro_f1 == 1.0
    assert learnt.held_out.model_macro_f1 < 1.0
    assert learnt.spread == "clusters"


def test_one_group_cannot_be_held_out(board: Board) -> None:
    rows = np.arange(60)
    alone = Seen(rows, truth()[rows], np.zeros(60, np.int64), 1 + rows // 9, np.zeros(60, np.int64))
    learnt = learn.learn(board, alone, {})
    assert learnt.held_out.cell_count == 0
    assert learnt.spread == "model"


def test_learning_from_200_cells_takes_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 1, (20_000, 60)).astype(np.float16)
    made = core.cluster(features(matrix[:2000]), core.Params(leaf_count=40))
    leaf = np.resize(made.leaf, len(matrix))
    board = Board(matrix, leaf, made.tree, np.asarray(made.tree.node_of_leaf(10), np.int64))
    rows = rng.choice(len(matrix), 200, replace=False)
    classes = 1 + (matrix[rows, :5].argmax(axis=1))
    started = time.process_time()
    learn.learn(board, seen(rows, classes), {})
    assert time.process_time() - started < 1.0
