"""The linear model: multinomial logistic regression on features of a fixed scale, with a calibrated confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.clusterer.arrays import Bytes, Doubles, Floats, Halves, Rows, chunks, widened
from morula.clusterer.labeller import newton
from morula.common.compute import cpu_count, in_order

INVERSE_PENALTY = 0.1
TOLERANCE = 1e-6
"""Largest entry of the gradient where a fit ends."""
PARTS_TOLERANCE = 1e-3
"""The same of models that judge, which compute in single precision: hardly a cell is called otherwise for it."""
TEMPERATURES = np.geomspace(0.25, 8.0, 41)
BLOCK_ROWS = 1 << 11
"""Rows that are made wide at once: they stay in the processor's second cache."""

Known = NDArray[np.bool_]


@dataclass(frozen=True)
class Model:
    """Scores of a row are `row @ coefficients.T + intercepts`; confidence is their softmax over the temperature."""

    classes: tuple[int, ...]
    coefficients: Floats
    intercepts: Floats
    temperature: float = 1.0
    gradient: float = 0.0
    """Largest entry of the gradient that the fit left."""

    def scores(self, rows: Floats) -> Floats:
        result: Floats = np.asarray(rows @ self.coefficients.T + self.intercepts, np.float32)
        return result


def fit(rows: Floats, classes: Rows) -> Model:
    """Model of these rows; one class gives a model that knows no other, and no row one that knows none.

    Classes weigh the same however many cells of each were seen: pages follow clusters, not how common a class is.
    """
    if not len(classes):
        return Model((), np.zeros((0, rows.shape[1]), np.float32), np.zeros(0, np.float32))
    objective = _objective(rows.astype(np.float64), classes, np.ones((1, len(classes)), bool))
    start = np.zeros((len(objective.present), 1, rows.shape[1] + 1))
    parameters, left = newton.minimise(objective, start, TOLERANCE)
    return _model(np.unique(classes), parameters[:, 0], float(left[0]))


def fit_parts(rows: Floats, classes: Rows, parts: Known, whole: Model) -> list[Model]:
    """Models of some of the rows each: a row of `parts` marks them. All begin where `whole`, that of all rows, ends."""
    objective = _objective(rows, classes, parts)
    near = np.concatenate([whole.coefficients, whole.intercepts[:, None]], axis=1)[:, None, :]
    inverse = newton.rough_inverse(_objective(rows, classes, np.ones((1, len(classes)), bool)), near)
    start = near * objective.present[:, :, None].astype(np.float32)
    found, left = newton.minimise(objective, start, PARTS_TOLERANCE, inverse)
    numbers = np.asarray(whole.classes)
    return [
        _model(numbers[known], found[known, part], float(left[part])) for part, known in enumerate(objective.present.T)
    ]


def _objective(rows: Floats | Doubles, classes: Rows, parts: Known) -> newton.Objective:
    """All classes of a part weigh the same, and all its rows as many as they are."""
    is_class = classes == np.unique(classes)[:, None]
    counts = parts.astype(np.float64) @ is_class.T
    present = counts > 0
    shares = parts.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    each = np.divide(shares[:, None], counts, out=np.zeros_like(counts), where=present)
    # Of two classes one row of odds is punished, as everybody does; half of it for each is punished half as much.
    penalty = np.where(present.sum(axis=1) == 2, 2.0, 1.0)
    return newton.Objective(
        rows=np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1),
        is_class=is_class,
        weight=(INVERSE_PENALTY * parts * (each @ is_class)).astype(rows.dtype),
        present=present.T,
        penalty=penalty,
    )


def _model(numbers: Rows, parameters: Floats | Doubles, gradient: float) -> Model:
    coefficients, intercepts = parameters[:, :-1].astype(np.float32), parameters[:, -1].astype(np.float32)
    return Model(tuple(numbers.tolist()), coefficients, intercepts, gradient=gradient)


def temperature(scores: Floats, right: NDArray[np.bool_], weight: Doubles) -> float:
    """The temperature under which held-out scores were least surprised; `right` marks each row's class."""
    losses = []
    for candidate in TEMPERATURES:
        scaled = scores.astype(np.float64) / candidate
        top = scaled.max(axis=1, keepdims=True)
        log_shares = scaled - top - np.log(np.exp(scaled - top).sum(axis=1, keepdims=True))
        losses.append(float(-weight @ log_shares[right]))
    return float(TEMPERATURES[int(np.argmin(losses))])


def layers(model: Model, matrix: Halves) -> tuple[Bytes, Bytes]:
    """Class and confidence of every row, one byte each."""
    classes, confidence = np.empty(len(matrix), np.uint8), np.empty(len(matrix), np.uint8)
    names = np.asarray(model.classes, np.uint8)
    across = np.ascontiguousarray((model.coefficients / model.temperature).astype(np.float32).T)
    intercepts = (model.intercepts / model.temperature).astype(np.float32)[:, None]

    def apply(stripe: slice) -> None:
        wide = np.empty((BLOCK_ROWS, matrix.shape[1]), np.float32)
        for start in range(stripe.start, stripe.stop, BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, stripe.stop))
            # Rows times classes is twice as fast as classes times rows; to compare classes, each lies by itself.
            scores = np.ascontiguousarray((widened(matrix[rows], wide[: rows.stop - start]) @ across).T)
            scores += intercepts
            best = scores.argmax(axis=0)
            scores -= scores.max(axis=0)
            share = 1.0 / np.exp(scores, out=scores).sum(axis=0)
            classes[rows] = names[best]
            confidence[rows] = np.round(share * 255)

    for _ in in_order(apply, chunks(len(matrix)), cpu_count()):
        pass
    return classes, confidence


def as_json(model: Model) -> dict[str, object]:
    """What is stored of a model: all that applying it again needs."""
    fields: dict[str, Doubles | Floats] = {"coefficients": model.coefficients, "intercepts": model.intercepts}
    stored: dict[str, object] = {name: np.asarray(values, np.float64).tolist() for name, values in fields.items()}
    return {**stored, "classes": list(model.classes), "temperature": model.temperature, "gradient": model.gradient}
