"""The linear model: multinomial logistic regression on features of a fixed scale, with a calibrated confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from morula.clusterer.arrays import Bytes, Doubles, Floats, Halves, Rows, chunks

INVERSE_PENALTY = 0.1
TOLERANCE = 1e-4
TEMPERATURES = np.geomspace(0.25, 8.0, 41)
NOT_SURE = 255
"""Class of a row that the model abstains from."""


@dataclass(frozen=True)
class Model:
    """Scores of a row are `row @ coefficients.T + intercepts`; confidence is their softmax over the temperature."""

    classes: tuple[int, ...]
    coefficients: Floats
    intercepts: Floats
    temperature: float = 1.0

    def scores(self, rows: Floats) -> Floats:
        result: Floats = np.asarray(rows @ self.coefficients.T + self.intercepts, np.float32)
        return result


def fit(rows: Floats, classes: Rows, tolerance: float = TOLERANCE) -> Model:
    """Model of these rows; one class gives a model that knows no other.

    Classes weigh the same however many cells of each were seen: pages follow clusters, not how common a class is.
    """
    present = sorted({int(number) for number in classes})
    if len(present) == 1:
        return Model((present[0],), np.zeros((1, rows.shape[1]), np.float32), np.zeros(1, np.float32))
    solver = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=300, tol=tolerance)
    fitted = solver.fit(rows, classes)
    coefficients, intercepts = np.asarray(fitted.coef_, np.float32), np.asarray(fitted.intercept_, np.float32)
    if len(present) == 2:
        # Two classes come as one row of odds: half of it for each gives the same shares.
        coefficients = np.concatenate([-coefficients, coefficients]) * np.float32(0.5)
        intercepts = np.concatenate([-intercepts, intercepts]) * np.float32(0.5)
    return Model(tuple(int(number) for number in fitted.classes_), coefficients, intercepts)


def temperature(scores: Floats, right: NDArray[np.bool_], weight: Doubles) -> float:
    """The temperature under which held-out scores were least surprised; `right` marks each row's class."""
    losses = []
    for candidate in TEMPERATURES:
        scaled = scores.astype(np.float64) / candidate
        top = scaled.max(axis=1, keepdims=True)
        log_shares = scaled - top - np.log(np.exp(scaled - top).sum(axis=1, keepdims=True))
        losses.append(float(-weight @ log_shares[right]))
    return float(TEMPERATURES[int(np.argmin(losses))])


def layers(model: Model, matrix: Halves, abstain_confidence: float) -> tuple[Bytes, Bytes]:
    """Class and confidence of every row, one byte each."""
    classes = np.empty(len(matrix), np.uint8)
    confidence = np.empty(len(matrix), np.uint8)
    names = np.asarray(model.classes, np.uint8)
    coefficients = (model.coefficients / model.temperature).astype(np.float32)
    intercepts = (model.intercepts / model.temperature).astype(np.float32)
    for rows in chunks(len(matrix)):
        scores = np.asarray(matrix[rows], np.float32) @ coefficients.T + intercepts
        best = scores.argmax(axis=1)
        share = 1.0 / np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
        classes[rows] = np.where(share < abstain_confidence, NOT_SURE, names[best])
        confidence[rows] = np.round(share * 255)
    return classes, confidence


def as_json(model: Model) -> dict[str, object]:
    """What is stored of a model: all that applying it again needs."""
    fields: dict[str, Doubles | Floats] = {"coefficients": model.coefficients, "intercepts": model.intercepts}
    stored: dict[str, object] = {name: np.asarray(values, np.float64).tolist() for name, values in fields.items()}
    return {**stored, "classes": list(model.classes), "temperature": model.temperature}
