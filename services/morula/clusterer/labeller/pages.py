"""Which page a person should see next: the whole, then its biggest parts one after the other; of every second one the
cells that the model is least sure of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer.arrays import Bytes, Rows, sample_rows
from morula.clusterer.labeller.learn import SURE_CONFIDENCE, Board
from morula.clusterer.labeller.names import node_of_leaves
from morula.clusterer.spread import CANDIDATES, spread
from morula.common.formats import NOISE_LEAF

FIRST_PAGES = 3
"""Pages spread over all of their clusters: a model of fewer has nothing to doubt by."""
DOUBT_EVERY = 2
"""Of so many pages after these, one shows the least sure cells of its cluster."""
PAGE_CELLS = 12
WHOLE_CLUSTER = NOISE_LEAF
"""Leaf of a page that spread over all of its cluster."""
NO_CLUSTER = 0
"""Node of a page of cells that are in no cluster: their leaf is NOISE_LEAF, which is that of the page, too."""
FATIGUE = 1.0
"""How much less a cluster draws with each page that came from it."""
LEAST_SURE_SHARE = 0.25
LEAST_SURE_PAGES = 4
"""A page is spread over the least sure share of its cluster, and over no fewer cells than so many pages show."""

Reason = Literal["largest_cluster", "least_sure", "requested"]
PagePlace = tuple[int, int]
"""Node and leaf of a page."""


@dataclass(frozen=True)
class Layers:
    """Class and confidence of each row by the model in force."""

    classes: Bytes
    confidence: Bytes


@dataclass(frozen=True)
class Wish:
    """What the annotator asked for."""

    cell_count: int = PAGE_CELLS
    node_id: int = 0
    seed: int = 0
    noise: bool = False


@dataclass(frozen=True)
class Page:
    """Cells to show, with what the model thinks of each; none where everything was seen."""

    rows: Rows
    classes: Rows
    confidence: NDArray[np.float64]
    place: PagePlace
    worth: float
    reason: Reason


def next_page(
    board: Board, layers: Layers | None, seen_rows: Rows, past: Sequence[PagePlace], wish: Wish
) -> Page | None:
    """The page that is worth most now; None where nothing is left to show."""
    unseen = np.ones(len(board.leaf), bool)
    unseen[seen_rows] = False
    is_requested = wish.noise or wish.node_id
    chosen = _requested(board, unseen, wish) if is_requested else _chosen(board, layers, unseen, past)
    if chosen is None:
        return None
    place, reason = chosen
    seed = _seed(wish, place, past)
    members = np.flatnonzero(unseen & _inside(board, place))
    if reason == "least_sure" and layers is not None:
        members = _least_sure(members, layers.confidence, wish.cell_count)
    members = members[sample_rows(len(members), CANDIDATES, seed)]
    with threadpool_limits(1):  # Threads cost more here than they bring.
        rows = members[spread(np.asarray(board.matrix[members], np.float32), wish.cell_count, seed)]
    return Page(
        rows=rows,
        classes=np.zeros(len(rows), np.int64) if layers is None else layers.classes[rows].astype(np.int64),
        confidence=np.zeros(len(rows)) if layers is None else layers.confidence[rows] / 255.0,
        place=place,
        worth=worth(board, layers, unseen, place),
        reason=reason,
    )


def worth(board: Board, layers: Layers | None, unseen: NDArray[np.bool_], place: PagePlace) -> float:
    """Share of all cells that lie in the page's cluster and are not sure."""
    if not len(board.leaf):
        return 0.0
    return float(np.count_nonzero(_inside(board, place) & unseen & _unsure(board, layers))) / len(board.leaf)


def _chosen(
    board: Board, layers: Layers | None, unseen: NDArray[np.bool_], past: Sequence[PagePlace]
) -> tuple[PagePlace, Reason] | None:
    left = np.bincount(board.leaf[unseen], minlength=NOISE_LEAF + 1)[: len(board.node_of_leaf)]
    if not left.any():
        return None
    node = _largest_not_shown(board, left, past)
    if node is None:
        return (_most_doubted(board, layers, unseen, left, past), WHOLE_CLUSTER), "least_sure"
    is_doubt_next = len(past) >= FIRST_PAGES and (len(past) - FIRST_PAGES) % DOUBT_EVERY == 0
    return (node, WHOLE_CLUSTER), "least_sure" if is_doubt_next and layers is not None else "largest_cluster"


def _largest_not_shown(board: Board, left: Rows, past: Sequence[PagePlace]) -> int | None:
    """The biggest cluster of the whole tree from which no page came: all cells first, then parts of them."""
    shown = {node for node, _ in past}
    fresh = (node for node in board.tree.nodes if node.id not in shown)
    for node in sorted(fresh, key=lambda node: (-node.cell_count, node.id)):
        if left[board.tree.leaves_below(node.id)].any():
            return node.id
    return None


def _most_doubted(
    board: Board, layers: Layers | None, unseen: NDArray[np.bool_], left: Rows, past: Sequence[PagePlace]
) -> int:
    """The cluster of the cut whose unseen cells hold most doubt in sum; never the last one while there are others."""
    nodes = np.unique(board.node_of_leaf[left > 0])
    of_leaf = node_of_leaves(board.node_of_leaf)
    doubt = np.full(len(board.leaf), 255, np.uint8) if layers is None else 255 - layers.confidence
    draw = np.bincount(of_leaf, np.bincount(board.leaf[unseen], doubt[unseen], minlength=NOISE_LEAF + 1))
    # Among equals, and where all are sure, the one with most cells left.
    draw += np.bincount(board.node_of_leaf, left) / (2.0 * left.sum())
    for node, _ in past:
        if node < len(draw):
            draw[node] /= 1.0 + FATIGUE
    others = nodes[nodes != past[-1][0]] if past else nodes
    among = others if len(others) else nodes
    return int(among[draw[among].argmax()])


def _least_sure(members: Rows, confidence: Bytes, cell_count: int) -> Rows:
    """Those of which the model is least sure, in row order."""
    count = max(LEAST_SURE_PAGES * cell_count, int(len(members) * LEAST_SURE_SHARE))
    return np.sort(members[np.argsort(confidence[members], kind="stable")[:count]])


def _requested(board: Board, unseen: NDArray[np.bool_], wish: Wish) -> tuple[PagePlace, Reason] | None:
    place = (NO_CLUSTER if wish.noise else wish.node_id, WHOLE_CLUSTER)
    return (place, "requested") if (unseen & _inside(board, place)).any() else None


def _inside(board: Board, place: PagePlace) -> NDArray[np.bool_]:
    node, leaf = place
    if node == NO_CLUSTER or leaf != WHOLE_CLUSTER:
        return np.asarray(board.leaf == leaf)
    wanted = np.zeros(NOISE_LEAF + 1, bool)
    wanted[board.tree.leaves_below(node)] = True
    return np.asarray(wanted[board.leaf])


def _unsure(board: Board, layers: Layers | None) -> NDArray[np.bool_]:
    if layers is None:
        return np.ones(len(board.leaf), bool)
    return np.asarray(layers.confidence < round(SURE_CONFIDENCE * 255))


def _seed(wish: Wish, place: PagePlace, past: Sequence[PagePlace]) -> int:
    return int(np.random.SeedSequence([abs(wish.seed), place[0], place[1], len(past)]).generate_state(1)[0])
