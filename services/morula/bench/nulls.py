"""Clouds without clusters, and clusters without doubt: what the test for structure must tell apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from morula.clusterer.core import Params, cluster
from morula.clusterer.features import Features

Cloud = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Cloud]

COLUMNS = (3, 5, 10, 20, 40)
ROWS = (400, 1500, 4000)


def gaussian(rng: np.random.Generator, rows: int, columns: int) -> Cloud:
    """One Gaussian, stretched and turned."""
    turn = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    cloud: Cloud = (rng.normal(size=(rows, columns)) * rng.uniform(0.2, 1.5, columns)) @ turn
    return cloud


def uniform(rng: np.random.Generator, rows: int, columns: int) -> Cloud:
    """A box, filled evenly."""
    return rng.uniform(-2, 2, (rows, columns))


def banana(rng: np.random.Generator, rows: int, columns: int) -> Cloud:
    """An arc of a circle with noise around it."""
    angle = rng.uniform(0, np.pi * rng.uniform(0.6, 1.6), rows)
    cloud = rng.normal(0, rng.uniform(0.15, 0.4), (rows, columns))
    cloud[:, 0] += 2 * np.cos(angle)
    cloud[:, 1] += 2 * np.sin(angle)
    return cloud


def gradient(rng: np.random.Generator, rows: int, columns: int) -> Cloud:
    """Many of one end, ever fewer towards the other."""
    cloud = rng.normal(0, 0.5, (rows, columns))
    place = rng.exponential(1.5, rows)
    cloud[:, 0] += place
    cloud[:, 1:3] += place[:, None] / 2
    return cloud


def shell(rng: np.random.Generator, rows: int, columns: int) -> Cloud:
    """The skin of a ball: hollow, but of one piece."""
    skin = rng.normal(size=(rows, 3))
    cloud = rng.normal(0, 0.15, (rows, columns))
    cloud[:, :3] += 2 * skin / np.linalg.norm(skin, axis=1, keepdims=True)
    return cloud


def mixture(rng: np.random.Generator, rows: int, columns: int) -> Cloud:
    """Two to five Gaussians, each seven deviations from each: at right angles, so no more than there are columns."""
    kinds = int(rng.integers(2, min(5, columns) + 1))
    centres = np.linalg.qr(rng.normal(size=(columns, columns)))[0][:kinds] * 7 / np.sqrt(2)
    cloud: Cloud = centres[rng.integers(0, kinds, rows)] + rng.normal(size=(rows, columns))
    return cloud


CONTINUA: tuple[Draw, ...] = (uniform, banana, gradient, shell)


def finds_structure(draw: Draw, number: int) -> bool:
    """Whether structure is found in the draw of this number."""
    rng = np.random.default_rng([number, len(draw.__name__)])
    cloud = draw(rng, ROWS[number % len(ROWS)], COLUMNS[number % len(COLUMNS)])
    names = tuple(f"column_{column}" for column in range(cloud.shape[1]))
    features = Features(cloud.astype(np.float16), names, cloud.shape[1], None)
    return cluster(features, Params(seed=number)).tree.structure.found


def found_in_nulls(count: int) -> int:
    """Of so many Gaussian and as many continuum draws, those in which structure is found: none would be right."""
    gaussians = sum(finds_structure(gaussian, number) for number in range(count))
    return gaussians + sum(finds_structure(CONTINUA[number % len(CONTINUA)], number) for number in range(count))


def found_in_mixtures(count: int) -> int:
    """Of so many draws of separate clusters, those in which structure is found: all would be right."""
    return sum(finds_structure(mixture, number) for number in range(count))
