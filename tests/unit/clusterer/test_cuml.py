"""cuML's steps beside those of the processor. They run where a GPU and `locks/clusterer-cuml.txt` are."""

from __future__ import annotations

import numpy as np
import pytest

from morula.clusterer import cuml_steps, paper, plain
from morula.common import clustering
from tests.unit.clusterer.clouds import kinds

lacking = clustering.missing(clustering.UMAP_DBSCAN_CUML)
pytestmark = pytest.mark.skipif(bool(lacking), reason=f"not there: {', '.join(lacking)}")


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.maximum(kinds(count, kind_count=6, columns=64, apart=6, seed=seed)[0], 0).astype(np.float32)


@pytest.mark.parametrize("eps", [0.0, 0.9])
def test_a_space_is_clustered_as_the_processor_does(eps: float) -> None:
    space = vectors(3000)
    (theirs, expected), (ours, found) = paper.cluster_space(space, eps), cuml_steps.cluster_space(space, eps)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert plain.adjusted_rand(found, expected) >= 0.999
    assert ((found == -1) == (expected == -1)).mean() >= 0.999


def test_kinds_that_stand_apart_are_found_on_its_map_and_the_same_twice() -> None:
    rows, kind = kinds(3000, kind_count=6, columns=64, apart=8, seed=1)[:2]
    steps = paper.Steps(lambda given, seed, _: cuml_steps.umap(given, seed), cuml_steps.cluster_space)
    first, second = (paper.cluster(rows.astype(np.float32), 0.5, steps=steps) for _ in range(2))
    assert plain.adjusted_rand(first.cluster, kind) >= 0.95
    assert np.array_equal(first.cluster, second.cluster)
