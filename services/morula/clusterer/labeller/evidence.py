"""What can honestly be said about cells that nobody saw, from the few that were.

A seen cell is judged by a model that saw neither its page nor its tile: one key names a page, and neighbours resemble
each other. A page on which the pre-labels that were shown stand unchanged is no evidence, whoever accepted them: it is
neither judged nor trained on here. And pages do not lie where cells lie, so each part of the slide counts by the cells
in it that nobody saw, and not by the pages that came from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from morula.clusterer.arrays import Doubles, Floats, Rows
from morula.clusterer.labeller import logistic
from morula.clusterer.labeller.logistic import Model
from morula.clusterer.labeller.names import ODD, Seen, effective_names
from morula.common.scores import macro_f1

PAGE_FOLDS = 8
GROUP_FOLDS = 4
PRIOR_CELLS = 3.0
"""A part of the slide of which few cells were judged is taken to be like all: as if it had so many more of them."""
LEVEL = 0.95

Spread = Literal["none", "model", "clusters"]


@dataclass(frozen=True)
class Estimate:
    """Share of right cells among those that get a class, with its interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class HeldOut:
    """Model and cluster names on cells whose page and tile were held out; all zero where there were too few.

    No class counts as wrong. Accuracies are weighted to the cells that nobody saw, and decide what spreads.
    """

    model_macro_f1: float = 0.0
    cluster_macro_f1: float = 0.0
    constant_macro_f1: float = 0.0
    model_accuracy: float = 0.0
    cluster_accuracy: float = 0.0
    constant_accuracy: float = 0.0
    named_share: float = 0.0
    """Share of the held-out cells to which a name gave a class without their page."""
    cell_count: int = 0
    page_count: int = 0
    accuracy: float = 0.0
    low: float = 0.0
    high: float = 0.0
    """Of what spreads, among the cells to which it gives a class: the estimate and its 95 % interval.

    Measured alone where names spread; where the model does, halfway to what it expects of itself (`estimate`).
    """


@dataclass(frozen=True)
class Measured:
    """How good what spreads is, what that is, and the temperature that calibrates the model's confidence."""

    held_out: HeldOut
    spread: Spread
    temperature: float


@dataclass(frozen=True)
class Judged:
    """Cells that were judged, what they are, and what each way of spreading made of them."""

    places: Rows
    """Among the seen cells."""
    pages: Rows
    nodes: Rows
    truth: Rows
    by_model: Rows
    by_names: Rows
    constant: Rows
    scores: Floats
    """Of the model, a column for each of `numbers`; -inf for a class that it had not met."""
    numbers: Rows
    model: Model
    """Of all cells that are evidence, the judged ones among them."""

    def take(self, chosen: NDArray[np.bool_]) -> Judged:
        """Some of them."""
        kept = {name: values[chosen] for name, values in vars(self).items() if name not in ("numbers", "model")}
        return replace(self, **kept)


def is_evidence(seen: Seen) -> NDArray[np.bool_]:
    """Cells of pages that a person must have looked at: named without pre-labels, or not as the pre-labels had it."""
    changed = (seen.shown != seen.classes) | (seen.shown == 0)
    on_page = seen.pages > 0
    looked_at = np.unique(seen.pages[on_page & changed])
    found: NDArray[np.bool_] = on_page & np.isin(seen.pages, looked_at)
    return found


def is_kept(seen: Seen) -> NDArray[np.bool_]:
    """Cells from which something can be learnt for a judgement: evidence, and what was said of a cell by itself."""
    kept: NDArray[np.bool_] = is_evidence(seen) | (seen.pages == 0)
    return kept


def judge(rows: Floats, seen: Seen, nodes: list[int], explicit: Mapping[int, int], node_of_seen: Rows) -> Judged:
    """Every cell that is evidence, by what was learnt without its page and its group.

    What is no evidence is left out before anything is divided: it changes nothing at all.
    """
    alone = seen.pages == 0
    kept = np.flatnonzero(is_kept(seen))
    rows, seen, node_of_seen, alone = rows[kept], seen.take(kept), node_of_seen[kept], alone[kept]
    trained = seen.classes != ODD
    page_fold, group_fold = folds(seen.pages, PAGE_FOLDS), folds(seen.groups, GROUP_FOLDS)
    numbers = np.unique(seen.classes[trained])
    scores = np.full((len(kept), len(numbers)), -np.inf, np.float32)
    by_names, constant = (np.zeros(len(kept), np.int64) for _ in range(2))
    is_judged = np.zeros(len(kept), bool)
    held = list(_held_out(page_fold, group_fold, trained, trained & ~alone))
    parts = np.array([rest for _, rest in held]).reshape(len(held), len(kept))[:, trained]
    whole = logistic.fit(rows[trained], seen.classes[trained])
    models = logistic.fit_parts(rows[trained], seen.classes[trained], parts, whole) if held else []
    for (out, rest), model in zip(held, models, strict=True):
        scores[np.ix_(out, np.searchsorted(numbers, model.classes))] = model.scores(rows[out])
        names = effective_names(nodes, explicit, node_of_seen[rest], seen.classes[rest])
        by_names[out] = [names.get(int(node), ODD) for node in node_of_seen[out]]
        constant[out] = int(np.bincount(seen.classes[rest & trained]).argmax())
        is_judged[out] = True
    best = numbers[scores.argmax(axis=1)] if len(numbers) else by_names
    judged = Judged(kept, seen.pages, node_of_seen, seen.classes, best, by_names, constant, scores, numbers, whole)
    return judged.take(is_judged)


def _held_out(
    page_fold: Rows, group_fold: Rows, trained: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Cells to judge, and all that share neither their page nor their group; where there are both."""
    for page, group in sorted({*zip(page_fold.tolist(), group_fold.tolist(), strict=True)}):
        out = (page_fold == page) & (group_fold == group) & judged
        rest = (page_fold != page) & (group_fold != group)
        if out.any() and (rest & trained).any():
            yield out, rest


def folds(groups: Rows, count: int) -> Rows:
    """Fold of each cell: whole groups, the largest first, each into the fold that holds fewest."""
    numbers, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    held = [0] * min(count, len(numbers))
    fold_of = np.zeros(len(numbers), np.int64)
    for number in np.lexsort((numbers, -counts)):
        fold_of[number] = fold = held.index(min(held))
        held[fold] += int(counts[number])
    folded: Rows = fold_of[place]
    return folded


def weights(node_of_judged: Rows, unseen_in: Mapping[int, int]) -> Doubles:
    """Weight of each judged cell, 1 in all: each cluster counts by the cells in it that nobody saw."""
    total = sum(unseen_in.values())
    result = np.zeros(len(node_of_judged))
    for node, count in unseen_in.items():
        mine = node_of_judged == node
        share = count / total / (int(mine.sum()) + PRIOR_CELLS)
        result[mine] += share
        result += share * PRIOR_CELLS / len(result)
    return result


def estimate(right: NDArray[np.bool_], weight: Doubles, pages: Rows, expected: float | None = None) -> Estimate:
    """Weighted share of right ones, and Wilson's interval for as many witnesses as pages' differences let them be.

    Judges saw less than the model did: the share is too low. The model's confidence in the cells that nobody saw,
    `expected`, knows of no class that was not met: it is too high. The estimate lies halfway between the two.
    """
    share = min(1.0, float(weight @ right))
    accuracy = share if expected is None else (share + expected) / 2
    page_count = len(np.unique(pages))
    if page_count < 2:
        return Estimate(accuracy, 0.0, 1.0)
    error = _error(weight * (right - share), pages)
    witnesses = min(len(right), share * (1 - share) / error**2) if error > 0 and 0 < share < 1 else page_count
    squared = _quantile(page_count) ** 2 / witnesses
    centre = (accuracy + squared / 2) / (1 + squared)
    half = float(np.sqrt(squared * accuracy * (1 - accuracy) + squared**2 / 4)) / (1 + squared)
    return Estimate(accuracy, max(0.0, min(accuracy, centre - half)), min(1.0, max(accuracy, centre + half)))


def _error(pulls: Doubles, pages: Rows) -> float:
    """Standard error of a sum over cells: cells of one page are no independent witnesses."""
    by_page = np.bincount(np.unique(pages, return_inverse=True)[1], pulls)
    count = len(by_page)
    return float(np.sqrt(((by_page - by_page.mean()) ** 2).sum() * count / (count - 1)))


def _quantile(page_count: int) -> float:
    return float(stdtrit(page_count - 1, (1 + LEVEL) / 2))


def temperature(judged: Judged, weight: Doubles) -> float:
    """The temperature under which held-out scores were least surprised.

    Classes that a fold's model did not know are left out of its rows; rows of such a class say nothing.
    """
    right = judged.truth[:, None] == judged.numbers[None, :]
    known = np.isfinite(judged.scores[right])
    return logistic.temperature(judged.scores[known], right[known], weight[known]) if known.any() else 1.0


def names_do_better(judged: Judged, weight: Doubles) -> bool:
    """Whether names of clusters are right for more cells than the model is, by more than chance."""
    page_count = len(np.unique(judged.pages))
    gain = weight * (1.0 * (judged.by_names == judged.truth) - (judged.by_model == judged.truth))
    return page_count > 1 and float(gain.sum()) > _quantile(page_count) * _error(gain, judged.pages)


def spread_of(names: Mapping[int, int]) -> Spread:
    """What spreads without a model."""
    return "clusters" if names else "none"


def measure(
    judged: Judged,
    unseen_in: Mapping[int, int],
    names: Mapping[int, int],
    has_model: bool,
    expected: Callable[[float], float],
) -> Measured:
    """What spreads and how good that is; the model, unless names did better by more than chance or it may not yet.

    `expected` is the model's mean confidence in cells that nobody saw, under a temperature. Where nothing could be held
    out, the model: it spread better wherever both were measured.
    """
    named = spread_of(names)
    if not (len(judged.places) and unseen_in):
        return Measured(HeldOut(), "model" if has_model else named, 1.0)
    weight = weights(judged.nodes, unseen_in)
    spread = "model" if has_model and not names_do_better(judged, weight) else named
    held_out = HeldOut(
        model_macro_f1=macro_f1(judged.truth, judged.by_model),
        cluster_macro_f1=macro_f1(judged.truth, judged.by_names),
        constant_macro_f1=macro_f1(judged.truth, judged.constant),
        model_accuracy=float(weight @ (judged.by_model == judged.truth)),
        cluster_accuracy=float(weight @ (judged.by_names == judged.truth)),
        constant_accuracy=float(weight @ (judged.constant == judged.truth)),
        named_share=float(weight @ (judged.by_names != ODD)),
    )
    heat = temperature(judged, weight)
    if spread == "model":
        found = estimate(judged.by_model == judged.truth, weight, judged.pages, expected(heat))
        return Measured(_claimed(held_out, found, judged), spread, heat)
    unseen_in = {node: count for node, count in unseen_in.items() if node in names}
    named_ones = judged.take((judged.by_names != ODD) & np.isin(judged.nodes, list(unseen_in)))
    if not len(named_ones.places):
        return Measured(HeldOut(), spread, heat)
    weight = weights(named_ones.nodes, unseen_in)
    found = estimate(named_ones.by_names == named_ones.truth, weight, named_ones.pages)
    return Measured(_claimed(held_out, found, named_ones), spread, heat)


def _claimed(held_out: HeldOut, found: Estimate, judged: Judged) -> HeldOut:
    counts = {"cell_count": len(judged.places), "page_count": len(np.unique(judged.pages))}
    return replace(held_out, **vars(found), **counts)
