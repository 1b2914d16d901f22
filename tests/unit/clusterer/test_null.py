"""The test for structure says no to one cloud of whatever shape, and yes to two."""

from __future__ import annotations

import numpy as np

from morula.clusterer import core
from tests.unit.clusterer.clouds import features, kinds


def found(rows: np.ndarray, seed: int) -> bool:
    return core.cluster(features(rows), core.Params(seed=seed)).tree.structure.found


def one_cloud(seed: int) -> np.ndarray:
    """A Gaussian, a box, an arc, an exponential, by turns."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 0.3, (500, 4))
    angle = rng.uniform(0, np.pi, 500)
    arc = rows + np.stack([2 * np.cos(angle), 2 * np.sin(angle), 0 * angle, 0 * angle], axis=1)
    fading = rows + rng.exponential(1.5, (500, 1)) * [1, 0.5, 0, 0]
    return (rows * [1, 2, 4, 1], rng.uniform(-2, 2, (500, 4)), arc, fading)[seed % 4]


def test_one_cloud_has_no_structure() -> None:
    assert sum(found(one_cloud(seed), seed) for seed in range(4)) == 0


def test_clouds_apart_have_structure() -> None:
    assert all(found(kinds(600, kind_count, 5, 8.0, kind_count)[0], 0) for kind_count in (2, 5))


def test_supported_are_the_sides_of_the_gap() -> None:
    rows, kind = kinds(800, 2, 4, 10.0)
    made = core.cluster(features(rows), core.Params())
    grown = made.tree
    halves = grown.node(grown.root).children
    assert {node.id for node in grown.nodes if node.supported} == set(halves)
    left = np.isin(made.leaf, grown.leaves_below(halves[0]))
    assert len(set(kind[left])) == 1
