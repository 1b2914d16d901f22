"""Which page a person should see next: the biggest clusters first, then where most cells are least sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer.arrays import Bytes, Rows, sample_rows
from morula.clusterer.labeller.learn import SURE_CONFIDENCE, Board
from morula.clusterer.labeller.names import node_of_rows
from morula.clusterer.spread import CANDIDATES, spread
from morula.common.formats import NOISE_LEAF

FIRST_PAGES = 12
PAGE_CELLS = 12
WHOLE_CLUSTER = NOISE_LEAF
"""Leaf of a page that spread over all of its cluster."""
FATIGUE = 1.0
"""How much less a small cluster draws with each page that came from it."""

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
    chosen = _requested(board, unseen, wish) if wish.node_id else _chosen(board, layers, unseen, past)
    if chosen is None:
        return None
    place, reason = chosen
    seed = _seed(wish, place, past)
    members = np.flatnonzero(unseen & _inside(board, place))
    members = members[sample_rows(len(members), CANDIDATES, seed)]
    with threadpool_limits(1):  # Threads cost more here than they bring.
        rows = members[spread(np.asarray(board.matrix[members], np.float32), wish.cell_count, seed)]
    return Page(
        rows=rows,
        classes=np.zeros(len(rows), np.int64) if layers is None else _known(layers.classes[rows]),
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
    node = _largest_unvisited(board, left, unseen, past)
    if node is not None and (len(past) < FIRST_PAGES or layers is None):
        return (node, WHOLE_CLUSTER), "largest_cluster"
    leaf = _least_sure(board, layers, unseen, left, past)
    return (int(board.node_of_leaf[leaf]), leaf), "least_sure"


def _largest_unvisited(board: Board, left: Rows, unseen: NDArray[np.bool_], past: Sequence[PagePlace]) -> int | None:
    """The biggest cluster of which nobody saw a cell or a page."""
    shown = node_of_rows(board.leaf, board.node_of_leaf, np.flatnonzero(~unseen))
    looked_at = {node for node, _ in past} | set(shown.tolist())
    sizes: dict[int, int] = {}
    for leaf, node in enumerate(board.node_of_leaf.tolist()):
        sizes[node] = sizes.get(node, 0) + int(left[leaf])
    fresh = [(-size, node) for node, size in sizes.items() if size and node not in looked_at]
    return min(fresh)[1] if fresh else None


def _least_sure(
    board: Board,
    layers: Layers | None,
    unseen: NDArray[np.bool_],
    left: Rows,
    past: Sequence[PagePlace],
) -> int:
    """The small cluster with most cells that are not sure; one that was shown draws less, the last one never again."""
    unsure = np.bincount(board.leaf[unseen & _unsure(board, layers)], minlength=NOISE_LEAF + 1)[: len(left)]
    # Among equals, and where all are sure, the one with most cells left.
    draw = unsure + left / (2.0 * left.sum())
    for _, leaf in past:
        if leaf < len(draw):
            draw[leaf] /= 1.0 + FATIGUE
    draw[left == 0] = -1.0
    if past and past[-1][1] < len(draw) and np.count_nonzero(left) > 1:
        draw[past[-1][1]] = -1.0
    return int(draw.argmax())


def _requested(board: Board, unseen: NDArray[np.bool_], wish: Wish) -> tuple[PagePlace, Reason] | None:
    place = (wish.node_id, WHOLE_CLUSTER)
    return (place, "requested") if (unseen & _inside(board, place)).any() else None


def _inside(board: Board, place: PagePlace) -> NDArray[np.bool_]:
    node, leaf = place
    if leaf != WHOLE_CLUSTER:
        return np.asarray(board.leaf == leaf)
    wanted = np.zeros(NOISE_LEAF + 1, bool)
    wanted[board.tree.leaves_below(node)] = True
    return np.asarray(wanted[board.leaf])


def _unsure(board: Board, layers: Layers | None) -> NDArray[np.bool_]:
    if layers is None:
        return np.ones(len(board.leaf), bool)
    return np.asarray(layers.confidence < round(SURE_CONFIDENCE * 255))


def _known(classes: Bytes) -> Rows:
    """What the model thinks; 0 where it abstained."""
    return np.where(classes > 250, 0, classes).astype(np.int64)


def _seed(wish: Wish, place: PagePlace, past: Sequence[PagePlace]) -> int:
    return int(np.random.SeedSequence([abs(wish.seed), place[0], place[1], len(past)]).generate_state(1)[0])
