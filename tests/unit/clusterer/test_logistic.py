"""The linear model ends where it should: beside scikit-learn's, run to the end."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from morula.clusterer.labeller import logistic
from morula.clusterer.labeller.logistic import Model

UNSEEN = 400

Problem = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(seed: int, counts: list[int], columns: int, apart: float, *, stretched: bool = True) -> Problem:
    """So many rows of each class, the class of each, and rows that nobody saw; columns unlike in width and turned."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(1, len(counts) + 1) * 7 % 251, counts)
    widths = np.geomspace(3.0, 0.2, columns) if stretched else np.ones(columns)
    turn = np.linalg.qr(rng.normal(size=(columns, columns)))[0] * widths[:, None]
    centres = rng.normal(0, apart / np.sqrt(columns), (len(counts), columns))
    rows = rng.normal(0, 1, (len(classes), columns)) @ turn + np.repeat(centres, counts, axis=0)
    other = rng.normal(0, 1.5, (UNSEEN, columns)) @ turn
    order = rng.permutation(len(classes))
    return rows.astype(np.float32)[order], classes[order].astype(np.int64), other.astype(np.float32)


def converged(rows: np.ndarray, classes: np.ndarray) -> LogisticRegression:
    solver = LogisticRegression(C=logistic.INVERSE_PENALTY, class_weight="balanced", max_iter=50_000, tol=1e-10)
    return solver.fit(rows.astype(np.float64), classes)


def is_the_same(model: Model, rows: np.ndarray, classes: np.ndarray, unseen: np.ndarray) -> None:
    theirs = converged(rows, classes)
    halves = len(theirs.classes_) == 2
    coefficients = np.concatenate([-theirs.coef_, theirs.coef_]) / 2 if halves else theirs.coef_
    assert model.classes == tuple(theirs.classes_)
    assert np.abs(model.coefficients - coefficients).max() < 5e-6
    # Where no row is in doubt intercepts are nearly free, and theirs stops where they are: what matters is the shares.
    assert np.abs(softmax(model.scores(unseen), axis=1) - theirs.predict_proba(unseen)).max() < 1e-4
    # A row may lie so near the border that single precision decides: none did in these draws.
    assert (np.asarray(model.classes)[model.scores(unseen).argmax(axis=1)] == theirs.predict(unseen)).all()


PROBLEMS = {
    "mixed": ([30, 30, 30], 20, 2.0),
    "separable": ([40, 40, 40, 40], 12, 40.0),
    "two classes": ([50, 20], 30, 3.0),
    "one cell of a class": ([100, 1, 3, 60], 25, 4.0),
    "fewer rows than columns": ([4, 5, 3], 128, 3.0),
    "many classes": ([6] * 40, 60, 6.0),
    "a long sitting": ([900, 600, 300, 150, 50], 76, 3.0),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_fit_is_the_one_that_a_solver_run_to_the_end_finds(name: str, seed: int) -> None:
    rows, classes, unseen = drawn(seed, *PROBLEMS[name])
    model = logistic.fit(rows, classes)
    assert model.gradient <= logistic.TOLERANCE
    is_the_same(model, rows, classes, unseen)


def test_equal_rows_with_other_classes_and_columns_that_say_nothing_are_no_obstacle() -> None:
    rows, classes, unseen = drawn(0, [40, 40, 40], 10, 3.0)
    rows = np.concatenate([rows, np.repeat(rows[:1], 60, axis=0)])
    classes = np.concatenate([classes, np.tile([7, 14, 21], 20)])
    rows, unseen = (
        np.concatenate([some, np.zeros((len(some), 3), np.float32), some[:, :2]], 1) for some in (rows, unseen)
    )
    is_the_same(logistic.fit(rows, classes), rows, classes, unseen)


def test_of_one_class_all_is_that_class() -> None:
    rows, classes, unseen = drawn(0, [20], 5, 1.0)
    model = logistic.fit(rows, classes)
    assert (model.classes, model.gradient) == ((7,), 0.0)
    given, confidence = logistic.layers(model, unseen.astype(np.float16))
    assert set(given) == {7}
    assert set(confidence) == {255}


@pytest.mark.parametrize(
    "name", ["mixed", "separable", "two classes", "one cell of a class", "fewer rows than columns"]
)
def test_models_of_parts_are_those_of_their_rows_alone(name: str) -> None:
    """Also where a part lacks a class, or has but one."""
    rows, classes, unseen = drawn(5, *PROBLEMS[name])
    rng = np.random.default_rng(6)
    parts = np.stack([*(rng.random((6, len(rows))) < 0.6), classes == 7, classes != 7])
    models = logistic.fit_parts(rows, classes, parts, logistic.fit(rows, classes))
    assert len(models) == len(parts)
    for part, model in zip(parts, models, strict=True):
        alone = logistic.fit(rows[part], classes[part])
        assert model.gradient <= logistic.PARTS_TOLERANCE
        assert model.classes == alone.classes
        assert np.abs(model.coefficients - alone.coefficients).max() < 2e-3
        same = model.scores(unseen).argmax(axis=1) == alone.scores(unseen).argmax(axis=1)
        assert same.mean() > 0.99


def test_every_row_gets_what_its_scores_say_whatever_block_it_lies_in() -> None:
    rows, classes, _ = drawn(1, [30, 30, 30, 30], 24, 2.0)
    model = logistic.fit(rows, classes)
    matrix = np.random.default_rng(2).normal(0, 2, (2 * logistic.BLOCK_ROWS + 37, 24)).astype(np.float16)
    given, confidence = logistic.layers(model, matrix)
    scores = matrix.astype(np.float64) @ model.coefficients.T.astype(np.float64) + model.intercepts
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = 255 * (shares / shares.sum(axis=1, keepdims=True)).max(axis=1)
    assert (given == np.asarray(model.classes)[scores.argmax(axis=1)]).mean() > 0.999
    assert np.abs(confidence - shares).max() < 0.51
