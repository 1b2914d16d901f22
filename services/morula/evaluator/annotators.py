"""How far people agree on the same cells: nothing can be closer to the truth than its annotators to each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument
from morula.evaluator.cells import Cells, Ints
from morula.evaluator.draws import Drawn, Groups, groups_of, number, ratio

NOT_SAID = -1
ANNOTATOR_LIMIT = 64


def agreement(cells: Cells, wanted: tuple[int, int, int], checkpoint: Checkpoint = go_on) -> dict[str, Any] | None:
    """Kappas of what annotators said, each with its interval; None where there are no two of them.

    Who says two classes of one cell counts by the last. `wanted` is folds, draws and seed of the groups.
    """
    if cells.annotator is None or cells.cell is None or len(np.unique(cells.annotator.codes)) < 2:
        return None
    if (count := len(np.unique(cells.annotator.codes))) > ANNOTATOR_LIMIT:
        raise InvalidArgument(
            f"the truth has {count:,} annotators, more than {ANNOTATOR_LIMIT}: is `annotator` who said it?"
        )
    _, first, cell = np.unique(cells.cell, return_index=True, return_inverse=True)
    groups = groups_of(cells.take(first), *wanted)
    names, annotator = np.unique(cells.annotator.codes, return_inverse=True)
    said = np.full((len(first), len(names)), NOT_SAID, np.int64)
    said[cell.ravel(), annotator.ravel()] = cells.truth.codes
    words = tuple(cells.annotator.names[code] for code in names.tolist())
    count = len(cells.truth.names)
    return {
        "annotators": list(words),
        "several_count": int(((said != NOT_SAID).sum(axis=1) > 1).sum()),
        "cohen": list(_pairs(said, words, count, groups, checkpoint)),
        "fleiss": _fleiss(said, count, groups),
        "krippendorff": _krippendorff(said, count, groups),
    }


def _pairs(
    said: Ints, names: tuple[str, ...], count: int, groups: Groups, checkpoint: Checkpoint
) -> Iterator[dict[str, Any]]:
    """Cohen's kappa of each two, over the cells of both."""
    for one, two in combinations(range(len(names)), 2):
        both = (said[:, one] != NOT_SAID) & (said[:, two] != NOT_SAID)
        if not both.any():
            continue
        columns = np.where(both, said[:, one] * count + said[:, two], NOT_SAID)

        def of_counts(flat: NDArray[np.float64]) -> Drawn:
            square = flat.reshape(len(flat), count, count)
            total = flat.sum(axis=1)
            same = np.trace(square, axis1=1, axis2=2)
            expected = (square.sum(axis=1) * square.sum(axis=2)).sum(axis=1)
            return {"kappa": _beyond(ratio(same, total), ratio(expected, total**2)), "agreement": ratio(same, total)}

        drawn = groups.each(groups.table(columns, count * count), of_counts, checkpoint)
        n = int(both.sum())
        yield {"annotators": [names[one], names[two]], **{name: number(drawn[name], n) for name in drawn}}


def _fleiss(said: Ints, count: int, groups: Groups) -> dict[str, Any] | None:
    """Fleiss' kappa over the cells that every annotator spoke of."""
    whole = (said != NOT_SAID).all(axis=1)
    if not whole.any() or said.shape[1] < 2:
        return None
    votes = _votes(said, count)
    raters = said.shape[1]
    same = (votes * (votes - 1)).sum(axis=1) / (raters * (raters - 1))
    drawn = groups.weights @ _by_group(np.column_stack([whole, same * whole, votes * whole[:, None]]), groups)
    shares = ratio(drawn[:, 2:], raters * drawn[:, :1])
    return number(_beyond(ratio(drawn[:, 1], drawn[:, 0]), (shares**2).sum(axis=1)), int(whole.sum()))


def _krippendorff(said: Ints, count: int, groups: Groups) -> dict[str, Any] | None:
    """Krippendorff's alpha for names, over the cells that two or more spoke of."""
    votes = _votes(said, count)
    raters = votes.sum(axis=1)
    several = raters > 1
    if not several.any():
        return None
    votes = votes * several[:, None]
    observed = np.where(several, (votes * (votes - 1)).sum(axis=1) / np.maximum(raters - 1, 1), 0)
    drawn = groups.weights @ _by_group(np.column_stack([observed, votes]), groups)
    total = drawn[:, 1:].sum(axis=1)
    expected = (drawn[:, 1:] * (drawn[:, 1:] - 1)).sum(axis=1)
    return number(_beyond(ratio(drawn[:, 0], total), ratio(expected, total * (total - 1))), int(several.sum()))


def _votes(said: Ints, count: int) -> NDArray[np.float64]:
    """How many gave each cell each class."""
    cells, annotators = np.nonzero(said != NOT_SAID)
    places = cells * count + said[cells, annotators]
    return np.bincount(places, minlength=len(said) * count).reshape(len(said), count).astype(np.float64)


def _by_group(values: NDArray[np.float64], groups: Groups) -> NDArray[np.float64]:
    sums = np.zeros((groups.count, values.shape[1]))
    np.add.at(sums, groups.of_cell, values)
    return sums


def _beyond(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Agreement beyond chance, as a share of what is left by it; all in one class is no agreement beyond chance."""
    left = 1 - expected
    return ratio(observed - expected, np.where(left > 1e-12, left, 0))
