"""Choosing a few rows that show what a cluster holds: typical first, then spread over it."""

from __future__ import annotations

import numpy as np

from morula.clusterer.arrays import Floats, Rows, sample_rows, squared_distances

CANDIDATES = 600
TRIMMED = 0.1
"""Share of the farthest members that are not shown: they are what the cluster holds least."""
ROUNDS = 8


def spread(rows: Floats, count: int, seed: int) -> Rows:
    """Places of at most `count` of these rows: one from each of `count` corners of the cloud, the most typical first.

    A seeded draw is divided by k-means; from each part comes the member nearest its centre, so that what is shown
    covers the cluster as its cells do, and not only its rim.
    """
    if len(rows) <= count:
        return _typical_first(rows, np.arange(len(rows), dtype=np.int64))
    drawn = sample_rows(len(rows), CANDIDATES, seed)
    drawn = _trimmed(rows, drawn, count)
    chosen = _corners(rows[drawn], count, np.random.default_rng(seed))
    return _typical_first(rows, drawn[chosen])


def farthest(rows: Floats, count: int) -> Rows:
    """Places of rows that lie far from each other, the one nearest the middle first."""
    middle = rows.mean(axis=0, keepdims=True)
    chosen = [int(squared_distances(rows, middle)[:, 0].argmin())]
    apart = squared_distances(rows, rows[chosen])[:, 0]
    while len(chosen) < min(count, len(rows)):
        # What was chosen must not come again where several rows are equal.
        apart[chosen] = -1.0
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, squared_distances(rows, rows[chosen[-1:]])[:, 0])
    return np.asarray(chosen, np.int64)


def _trimmed(rows: Floats, drawn: Rows, count: int) -> Rows:
    middle = np.median(rows[drawn], axis=0, keepdims=True).astype(np.float32)
    apart = squared_distances(rows[drawn], middle)[:, 0]
    keep = max(count, int(np.ceil(len(drawn) * (1.0 - TRIMMED))))
    return np.sort(drawn[np.argsort(apart, kind="stable")[:keep]])


def _corners(rows: Floats, count: int, rng: np.random.Generator) -> Rows:
    """Members nearest to the centres of `count` parts, each member once."""
    centres = rows[_plus_plus(rows, count, rng)]
    for _ in range(ROUNDS):
        part = squared_distances(rows, centres).argmin(axis=1)
        for number in range(count):
            members = rows[part == number]
            if len(members):
                centres[number] = members.mean(axis=0)
    apart = squared_distances(rows, centres)
    chosen: list[int] = []
    for number in range(count):
        apart[chosen, number] = np.inf
        chosen.append(int(apart[:, number].argmin()))
    return np.asarray(chosen, np.int64)


def _plus_plus(rows: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """k-means++: each next row is drawn by its squared distance to those before."""
    chosen = [int(rng.integers(len(rows)))]
    apart = squared_distances(rows, rows[chosen])[:, 0]
    while len(chosen) < count:
        # Equal rows are drawn too, where nothing else is left; a row that was drawn is not.
        weights = apart.astype(np.float64) + 1e-9
        weights[chosen] = 0.0
        steps = np.cumsum(weights)
        chosen.append(int(np.searchsorted(steps, rng.random() * steps[-1], side="right")))
        apart = np.minimum(apart, squared_distances(rows, rows[chosen[-1:]])[:, 0])
    return chosen


def _typical_first(rows: Floats, chosen: Rows) -> Rows:
    middle = rows.mean(axis=0, keepdims=True) if len(rows) else rows
    if not len(chosen):
        return chosen
    order = np.argsort(squared_distances(rows[chosen], middle)[:, 0], kind="stable")
    return chosen[order]
