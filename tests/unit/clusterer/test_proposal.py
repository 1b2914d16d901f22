"""How many clusters a person sees first."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from morula.clusterer import core
from morula.clusterer.core import Clustered
from morula.common.formats import NOISE_LEAF
from tests.unit.clusterer.clouds import features


def proposed(rows: np.ndarray) -> Clustered:
    return core.cluster(features(rows), core.Params())


def clusters_of(made: Clustered) -> np.ndarray:
    nodes = np.asarray([*made.tree.node_of_leaf(made.tree.cluster_count), 0])
    return nodes[np.where(made.leaf == NOISE_LEAF, len(nodes) - 1, made.leaf)]


@pytest.mark.parametrize(
    ("kinds", "columns", "count", "shares"),
    [(3, 8, 210, None), (2, 8, 400, None), (5, 16, 1500, (0.4, 0.3, 0.2, 0.06, 0.04)), (12, 32, 3000, None)],
)
def test_kinds_that_stand_apart_are_proposed(
    kinds: int, columns: int, count: int, shares: tuple[float, ...] | None
) -> None:
    rng = np.random.default_rng(7)
    kind = rng.choice(kinds, count, p=shares)
    centres = np.linalg.qr(rng.normal(size=(columns, columns)))[0][:kinds] * 9
    made = proposed(centres[kind] + rng.normal(size=(count, columns)))
    assert made.tree.cluster_count == kinds
    assert adjusted_mutual_info_score(kind, clusters_of(made)) > 0.95


def test_where_kinds_pass_into_each_other_there_are_enough_to_tell_them_apart() -> None:
    rng = np.random.default_rng(3)
    cloud = rng.normal(size=(2000, 8)) * np.array([6, 3, 2, 1, 1, 1, 1, 1])
    # A few that are something else altogether are no reason for two clusters.
    assert proposed(cloud).tree.cluster_count == 20
    assert proposed(np.concatenate([cloud, rng.normal(size=(60, 8)) + 60])).tree.cluster_count == 20
