"""Single cells labelled one by one, and the most that labels can give: what clusters have to beat.

Where vectors are given, a linear model learns from the labelled cells and labels the rest; without them the rest takes
the commonest label.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Cells, Floats, Ints
from morula.evaluator.draws import Groups
from morula.evaluator.naming import UNSEEN

LEARNT_CELLS = 20_000
"""A ceiling is learnt from so many cells of each naming part at most."""
ITERATIONS = 300
MANY_CLASSES = 64
"""Of more, least squares separate them: it takes seconds, where the steps of a logistic model take many minutes."""
STREAM = 1


def labelled(cells: Cells, groups: Groups, count: int, seed: int, checkpoint: Checkpoint) -> Ints:
    """The class of each cell where so many cells outside of its fold, drawn at random, were labelled."""
    given = np.full(len(cells), UNSEEN, np.int64)
    fold = groups.fold_of_cell()
    for number in range(groups.fold_count):
        checkpoint()
        inside = np.flatnonzero(fold == number)
        outside = np.flatnonzero(fold != number) if groups.fold_count > 1 else inside
        order = np.random.default_rng([seed, number, STREAM]).permutation(outside)
        given[inside] = _spread(cells.vectors, cells.truth.codes, order[:count], inside)
    return given


def ceiling(cells: Cells, groups: Groups, seed: int, checkpoint: Checkpoint) -> Ints:
    """The class of each cell by a linear model of all labels outside of its fold."""
    return labelled(cells, groups, LEARNT_CELLS, seed, checkpoint)


def _spread(vectors: Floats | None, truth: Ints, known: Ints, rest: Ints) -> Ints:
    said = truth[known]
    if vectors is None or len(np.unique(said)) < 2:
        return np.full(len(rest), np.bincount(said).argmax())
    return np.asarray(
        _model(len(np.unique(said)))
        .fit(vectors[known].astype(np.float32), said)
        .predict(vectors[rest].astype(np.float32))
    )


def _model(class_count: int) -> Pipeline:
    linear = RidgeClassifier() if class_count > MANY_CLASSES else LogisticRegression(max_iter=ITERATIONS)
    return make_pipeline(StandardScaler(), linear)
