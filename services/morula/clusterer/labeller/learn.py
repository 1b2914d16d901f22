"""From a few seen cells to a class for every cell, and what can honestly be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from morula.clusterer.arrays import Bytes, Halves, Leaves, Rows, sample_rows
from morula.clusterer.labeller import evidence, logistic
from morula.clusterer.labeller.evidence import HeldOut, Spread
from morula.clusterer.labeller.logistic import Model
from morula.clusterer.labeller.names import ODD, Seen, class_of_leaf, effective_names, node_of_leaves, node_of_rows
from morula.clusterer.tree import Tree
from morula.common.cluster_names import inherit_names
from morula.common.formats import NOISE_LEAF

PAGES_FOR_A_MODEL = 3
SURE_CONFIDENCE = 0.8
SAMPLE = 20_000
"""Cells nobody saw, whose confidence stands for all."""


@dataclass(frozen=True)
class Learnt:
    """What was learnt; without a second class there is no model and no layer."""

    model: Model | None
    classes: Bytes | None
    confidence: Bytes | None
    held_out: HeldOut
    spread: Spread
    names: dict[int, int]
    sure_count: int
    class_counts: dict[int, int]


@dataclass(frozen=True)
class Board:
    """The clustering under a cut, as labelling reads it."""

    matrix: Halves
    leaf: Leaves
    tree: Tree
    node_of_leaf: Rows


@threadpool_limits.wrap(1)  # type: ignore[untyped-decorator] # threads cost more here than they bring
def learn(
    board: Board,
    seen: Seen,
    named: Mapping[int, int],
) -> Learnt:
    """Fits the model to what was seen, applies it to every row, and lets held-out pages choose what spreads."""
    nodes = sorted({int(node) for node in board.node_of_leaf})
    explicit = inherit_names(named, nodes, board.tree.parents)
    node_of_seen = node_of_rows(board.leaf, board.node_of_leaf, seen.rows)
    names = effective_names(nodes, explicit, node_of_seen, seen.classes)
    trained = np.flatnonzero(seen.classes != ODD)
    rows = np.asarray(board.matrix[seen.rows], np.float32)
    model: Model | None = None
    held_out, spread = HeldOut(), evidence.spread_of(names)
    if len(np.unique(seen.classes[trained])) >= 2:
        judged = evidence.judge(rows, seen, nodes, explicit, node_of_seen)
        has_pages = len(np.unique(seen.pages[seen.pages > 0])) >= PAGES_FOR_A_MODEL
        expected = partial(mean_confidence, board, seen.rows, judged.model)
        measured = evidence.measure(judged, unseen_in(board, seen.rows), names, has_pages, expected)
        held_out, spread = measured.held_out, measured.spread
        is_evidence = evidence.is_kept(seen)[trained].all()
        whole = judged.model if is_evidence else logistic.fit(rows[trained], seen.classes[trained])
        model = replace(whole, temperature=measured.temperature)
    classes, confidence = logistic.layers(model, board.matrix) if model else (None, None)
    sure = 0 if confidence is None else int(np.count_nonzero(confidence >= round(SURE_CONFIDENCE * 255)))
    counts = class_counts(board, spread, classes, names)
    return Learnt(model, classes, confidence, held_out, spread, names, sure, counts)


def mean_confidence(board: Board, seen_rows: Rows, model: Model, temperature: float) -> float:
    """In cells that nobody saw, of a model of what is evidence: what was accepted unseen makes nobody surer."""
    is_unseen = np.ones(len(board.leaf), bool)
    is_unseen[seen_rows] = False
    unseen = np.flatnonzero(is_unseen)
    drawn = unseen[sample_rows(len(unseen), SAMPLE, 0)]
    _, confidence = logistic.layers(replace(model, temperature=temperature), board.matrix[drawn])
    return float(confidence.mean()) / 255


def unseen_in(board: Board, seen_rows: Rows) -> dict[int, int]:
    """Cells that nobody saw in each cluster; 0 is noise."""
    seen, every = (np.bincount(leaf, minlength=NOISE_LEAF + 1) for leaf in (board.leaf[seen_rows], board.leaf))
    counts = np.bincount(node_of_leaves(board.node_of_leaf), weights=every - seen)
    return {node: int(count) for node, count in enumerate(counts) if count}


def class_counts(board: Board, spread: Spread, classes: Bytes | None, names: Mapping[int, int]) -> dict[int, int]:
    """Rows by class according to what spreads; rows without a class are not counted."""
    if spread == "model" and classes is not None:
        held = np.bincount(classes, minlength=1)
    elif spread == "clusters":
        sizes = np.bincount(board.leaf, minlength=len(board.node_of_leaf))[: len(board.node_of_leaf)]
        held = np.bincount(class_of_leaf(board.node_of_leaf, names), weights=sizes)
    else:
        return {}
    return {number: int(count) for number, count in enumerate(held) if count and number}
