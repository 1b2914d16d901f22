"""From a few seen cells to a class for every cell, and what can honestly be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from morula.clusterer.arrays import Bytes, Floats, Halves, Leaves, Rows
from morula.clusterer.labeller import logistic
from morula.clusterer.labeller.logistic import Model, macro_f1
from morula.clusterer.labeller.names import ODD, Seen, class_of_leaf, effective_names, explicit_names, node_of_rows
from morula.clusterer.tree import Tree

FOLDS = 5
PAGES_FOR_A_MODEL = 3
SURE_CONFIDENCE = 0.8

Spread = Literal["none", "model", "clusters"]


@dataclass(frozen=True)
class HeldOut:
    """Model and cluster names on seen cells that were held out; all zero where there were too few."""

    model_macro_f1: float = 0.0
    cluster_macro_f1: float = 0.0
    constant_macro_f1: float = 0.0
    model_accuracy: float = 0.0
    cluster_accuracy: float = 0.0
    cell_count: int = 0


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
    sure_confidence: float = SURE_CONFIDENCE,
    abstain_confidence: float = 0.0,
) -> Learnt:
    """Fits the model to what was seen, applies it to every row, and lets held-out pages choose what spreads."""
    nodes = sorted({int(node) for node in board.node_of_leaf})
    explicit = explicit_names(board.tree, nodes, named)
    node_of_seen = node_of_rows(board.leaf, board.node_of_leaf, seen.rows)
    names = effective_names(nodes, explicit, node_of_seen, seen.classes)
    trained = np.flatnonzero(seen.classes != ODD)
    rows = np.asarray(board.matrix[seen.rows], np.float32)
    held_out, model = HeldOut(), None
    if len(np.unique(seen.classes[trained])) >= 2:
        held_out, temperature = compare(rows, seen, nodes, explicit, node_of_seen)
        model = replace(logistic.fit(rows[trained], seen.classes[trained]), temperature=temperature)
    page_count = len(np.unique(seen.pages[seen.pages > 0]))
    spread = what_spreads(model, held_out, page_count, names)
    classes, confidence = logistic.layers(model, board.matrix, abstain_confidence) if model else (None, None)
    sure = 0 if confidence is None else int(np.count_nonzero(confidence >= round(sure_confidence * 255)))
    counts = class_counts(board, spread, classes, names)
    return Learnt(model, classes, confidence, held_out, spread, names, sure, counts)


def compare(
    rows: Floats, seen: Seen, nodes: list[int], explicit: Mapping[int, int], node_of_seen: Rows
) -> tuple[HeldOut, float]:
    """Model and names fitted on four fifths of the groups and held against the last, and the model's temperature."""
    fold = folds(seen.groups)
    judged = np.flatnonzero((seen.classes != ODD) & (fold >= 0))
    by_model, by_names, constant = (np.zeros(len(seen.rows), np.int64) for _ in range(3))
    numbers = np.unique(seen.classes[seen.classes != ODD])
    scores = np.full((len(seen.rows), len(numbers)), -np.inf, np.float32)
    for number in range(int(fold.max()) + 1):
        out, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        trained = rest[seen.classes[rest] != ODD]
        if not len(trained):
            judged = judged[fold[judged] != number]
            continue
        model = logistic.fit(rows[trained], seen.classes[trained])
        columns = np.searchsorted(numbers, model.classes)
        scores[np.ix_(out, columns)] = model.scores(rows[out])
        by_model[out] = numbers[scores[out].argmax(axis=1)]
        names = effective_names(nodes, explicit, node_of_seen[rest], seen.classes[rest])
        commonest = int(np.bincount(seen.classes[trained]).argmax())
        by_names[out] = [names.get(int(node), 0) for node in node_of_seen[out]]
        constant[out] = commonest
    if not len(judged):
        return HeldOut(), 1.0
    truth = seen.classes[judged]
    held_out = HeldOut(
        model_macro_f1=macro_f1(truth, by_model[judged]),
        cluster_macro_f1=macro_f1(truth, by_names[judged]),
        constant_macro_f1=macro_f1(truth, constant[judged]),
        model_accuracy=float((by_model[judged] == truth).mean()),
        cluster_accuracy=float((by_names[judged] == truth).mean()),
        cell_count=len(judged),
    )
    return held_out, _temperature(scores[judged], truth, numbers)


def folds(groups: Rows) -> Rows:
    """Fold of each cell: whole groups, the largest first, each into the fold that holds fewest; -1 for one group."""
    numbers, counts = np.unique(groups, return_counts=True)
    if len(numbers) < 2:
        return np.full(len(groups), -1, np.int64)
    held = [0] * min(FOLDS, len(numbers))
    fold_of = {}
    for place in np.lexsort((numbers, -counts)):
        fold_of[int(numbers[place])] = fold = held.index(min(held))
        held[fold] += int(counts[place])
    return np.asarray([fold_of[int(group)] for group in groups], np.int64)


def what_spreads(model: Model | None, held_out: HeldOut, page_count: int, names: Mapping[int, int]) -> Spread:
    """Names until there are two classes and three pages; then whichever did better on held-out pages.

    Where nothing could be held out, the model: it spread better wherever both were measured.
    """
    if not names:
        return "none"
    if model is None or page_count < PAGES_FOR_A_MODEL:
        return "clusters"
    return "model" if held_out.model_macro_f1 >= held_out.cluster_macro_f1 else "clusters"


def class_counts(board: Board, spread: Spread, classes: Bytes | None, names: Mapping[int, int]) -> dict[int, int]:
    """Rows by class according to what spreads; rows without a class are not counted."""
    if spread == "model" and classes is not None:
        held = np.bincount(classes, minlength=1)
    elif spread == "clusters":
        sizes = np.bincount(board.leaf, minlength=len(board.node_of_leaf))[: len(board.node_of_leaf)]
        held = np.bincount(class_of_leaf(board.node_of_leaf, names), weights=sizes)
    else:
        return {}
    return {number: int(count) for number, count in enumerate(held) if count and number not in (0, logistic.NOT_SURE)}


def _temperature(scores: Floats, truth: Rows, numbers: Rows) -> float:
    """Classes that a fold's model did not know are left out of its rows; rows of such a class say nothing."""
    right = truth[:, None] == numbers[None, :]
    known = np.isfinite(scores[right])
    return logistic.temperature(scores[known], right[known]) if known.any() else 1.0
