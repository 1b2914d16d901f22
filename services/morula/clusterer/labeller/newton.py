"""Fits of multinomial logistic regression, many at once: truncated Newton steps on the same rows under other weights.

Each fit minimises the weighted surprise of its rows plus half of `penalty` times the squared coefficients; intercepts
cost nothing. Its steps are found by conjugate gradients, so no matrix of second derivatives is ever written down, and
all fits share every matrix product. Strongly convex and one thread: a result follows from what was asked, and not from
where it began, up to the gradient that is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.clusterer.arrays import Doubles

Real = NDArray[np.floating[Any]]

STEPS = 100
TURNS = 250
"""Of conjugate gradients in one step."""
HALVINGS = 30
FORCING = 0.25
"""A step leaves at most this share of the gradient, and less the nearer it comes."""
SUFFICIENT = 1e-4
INTERCEPT_RIDGE = 1e-3
"""Keeps the rough second derivatives of an intercept from being none where no row is in doubt."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: fits f over rows n with columns m, the last of them ones, and classes k.

    `weight` (f, n) is 0 where a fit does not know a row, `present` (k, f) says which classes it knows; arrays of
    parameters are (k, f, m). The type of `rows` is that of all arithmetic.
    """

    rows: Real
    is_class: NDArray[np.bool_]
    weight: Real
    present: NDArray[np.bool_]
    penalty: Doubles

    @cached_property
    def _across(self) -> Real:
        return np.ascontiguousarray(self.rows.T)

    @cached_property
    def _absent(self) -> Real:
        return np.where(self.present, 0.0, -np.inf).astype(self.rows.dtype)[:, :, None]

    @cached_property
    def _known(self) -> Real:
        return self.present.astype(self.rows.dtype)[:, :, None]

    @cached_property
    def penalties(self) -> Real:
        wide = np.repeat(self.penalty[:, None], self.rows.shape[1], axis=1)
        wide[:, -1] = 0.0
        return wide.astype(self.rows.dtype)

    def scores(self, parameters: Real) -> Real:
        """Scores (k, f, n)."""
        kinds, fits, columns = parameters.shape
        return (parameters.reshape(-1, columns) @ self._across).reshape(kinds, fits, -1)

    def _pulls(self, of_rows: Real) -> Real:
        kinds, fits, count = of_rows.shape
        return (of_rows.reshape(-1, count) @ self.rows).reshape(kinds, fits, -1)

    def shares_and_losses(self, scores: Real, parameters: Real) -> tuple[Real, Real]:
        """Share of each class in each row (k, f, n), and what each fit comes to (f)."""
        shares = scores + self._absent
        top = shares.max(axis=0)
        shares -= top
        np.exp(shares, out=shares)
        total = shares.sum(axis=0)
        shares /= total
        right = np.einsum("kfn,kn->fn", scores, self.is_class.astype(scores.dtype))
        surprise = np.einsum("fn,fn->f", self.weight, top + np.log(total) - right)
        return shares, surprise + 0.5 * _dots(self.penalties * parameters, parameters)

    def gradient(self, shares: Real, parameters: Real) -> Real:
        off = self.weight * (shares - self.is_class[:, None, :])
        return (self._pulls(off) + self.penalties * parameters) * self._known

    def bend(self, shares: Real, parameters: Real, moved: Real) -> Real:
        """Second derivatives along a direction, whose scores are `moved`."""
        pulled = shares * moved
        pulled -= shares * pulled.sum(axis=0)
        pulled *= self.weight
        return (self._pulls(pulled) + self.penalties * parameters) * self._known


def minimise(objective: Objective, start: Real, tolerance: float, inverse: Real | None = None) -> tuple[Real, Doubles]:
    """Parameters of each fit, and the largest entry of the gradient that is left.

    That is at most `tolerance`, unless the arithmetic's own error is larger: where no step lowers what is minimised,
    it ends. `inverse` (m, m) is a rough inverse of the second derivatives, which saves turns.
    """
    parameters, scores = start, objective.scores(start)
    shares, losses = objective.shares_and_losses(scores, parameters)
    for _ in range(STEPS):
        gradient = objective.gradient(shares, parameters)
        if _largest(gradient).max() <= tolerance:
            break
        direction, moved = _direction(objective, shares, gradient, tolerance, inverse)
        slopes = _dots(gradient, direction)
        slack = 8 * np.finfo(losses.dtype).eps * np.abs(losses)
        length = np.ones_like(losses)
        for _ in range(HALVINGS):
            further = parameters + length[:, None] * direction, scores + length[:, None] * moved
            shares, reached = objective.shares_and_losses(further[1], further[0])
            short = reached > losses + SUFFICIENT * length * slopes + slack
            if not short.any():
                break
            length = np.where(short, length / 2, length).astype(losses.dtype)
        (parameters, scores), fell = further, reached < losses
        losses = reached
        if not fell.any():
            break
    return parameters, _largest(objective.gradient(shares, parameters)).astype(np.float64)


def _direction(
    objective: Objective, shares: Real, gradient: Real, tolerance: float, inverse: Real | None
) -> tuple[Real, Real]:
    """Newton's step, as far as it pays, and what it does to the scores. Fits that are done stand still."""
    norms = np.sqrt(_dots(gradient, gradient))
    goal = np.maximum(np.minimum(FORCING, np.sqrt(norms)) * norms, 0.3 * tolerance)
    direction, moved = np.zeros_like(gradient), np.zeros_like(shares)
    rest = -gradient
    better = rest if inverse is None else rest @ inverse
    along, old = better, _dots(rest, better)
    for _ in range(TURNS):
        goes_on = np.sqrt(_dots(rest, rest)) > goal
        if not goes_on.any():
            break
        scores = objective.scores(along)
        bent = objective.bend(shares, along, scores)
        curve = _dots(along, bent)
        length = np.divide(old, curve, out=np.zeros_like(old), where=goes_on & (curve > 0))[None, :, None]
        direction += length * along
        moved += length * scores
        rest = rest - length * bent
        better = rest if inverse is None else rest @ inverse
        new = _dots(rest, better)
        turn = np.divide(new, old, out=np.zeros_like(old), where=goes_on & (old > 0))[None, :, None]
        along, old = better + turn * along, new
    return direction, moved


def rough_inverse(objective: Objective, parameters: Real) -> Real:
    """Inverse of the second derivatives of one class's parameters alone: of the mean class, in the first fit."""
    shares, _ = objective.shares_and_losses(objective.scores(parameters), parameters)
    doubt = objective.weight[0] * (shares[:, 0] * (1 - shares[:, 0])).mean(axis=0)
    ridge = objective.penalties[0].copy()
    ridge[-1] = INTERCEPT_RIDGE
    return np.asarray(np.linalg.inv((objective.rows * doubt[:, None]).T @ objective.rows + np.diag(ridge)))


def _dots(one: Real, other: Real) -> Real:
    return np.asarray(np.einsum("kfm,kfm->f", one, other))


def _largest(gradient: Real) -> Real:
    return np.asarray(np.abs(gradient).max(axis=(0, 2)))
