"""Vectors without a slide: numbered by size, the same again, and what is wrong with them is named."""

from __future__ import annotations

import numpy as np
import pytest

from morula.clusterer import vectors
from morula.common.errors import InvalidArgument
from tests.unit.clusterer.clouds import kinds


def test_clusters_are_numbered_by_size_and_come_out_the_same_again() -> None:
    rows, kind = kinds(900, columns=100)
    rows = np.concatenate([rows, rows[kind == 2] + 1e-3])
    made, again = vectors.group(rows, cluster_count=4), vectors.group(rows, cluster_count=4)
    sizes = [cluster["cell_count"] for cluster in made.clusters]
    assert [cluster["cluster_id"] for cluster in made.clusters] == [1, 2, 3, 4]
    assert sizes == sorted(sizes, reverse=True) == np.bincount(made.cluster_id[made.cluster_id > 0])[1:].tolist()
    assert np.array_equal(made.cluster_id, again.cluster_id)
    assert np.array_equal(made.confidence, again.confidence)
    found = made.cluster_id[:900] > 0
    assert len(set(zip(made.cluster_id[:900][found], kind[found], strict=True))) == 4
    assert made.facts["structure_found"]


def test_the_units_of_columns_do_not_matter() -> None:
    rows, _ = kinds(400)
    other = rows * np.float64([1e-4, 1, 1e3, 1e6, 1, 1]) + 7
    assert np.array_equal(vectors.group(rows).cluster_id, vectors.group(other).cluster_id)


def test_what_is_shown_of_a_cluster_is_typical_of_it_or_lies_on_its_edge() -> None:
    rows, _ = kinds(600)
    made = vectors.group(rows, cluster_count=4)
    wide = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    for cluster in made.clusters:
        members = np.flatnonzero(made.cluster_id == cluster["cluster_id"])
        apart = np.linalg.norm(wide - wide[members].mean(axis=0), axis=1)
        assert {*cluster["typical_rows"], *cluster["borderline_rows"], *cluster["outlying_rows"]} <= {*members}
        assert apart[cluster["typical_rows"]].max() < np.median(apart[members])
        assert apart[cluster["outlying_rows"]].min() > np.median(apart[members])


@pytest.mark.parametrize("preset", ["morula", "paper"])
def test_rows_that_are_not_finite_are_named_and_change_nothing(preset: vectors.Preset) -> None:
    rows, _ = kinds(48, columns=70)
    broken = np.insert(rows, [5, 20], 0, axis=0)
    broken[5, 1], broken[21, 3] = np.nan, -np.inf
    made, expected = vectors.group(broken, preset), vectors.group(rows, preset)
    assert made.facts["unusable_rows"] == [5, 21]
    assert made.cluster_id[[5, 21]].tolist() == [0, 0]
    assert not made.confidence[[5, 21]].any()
    assert np.array_equal(np.delete(made.cluster_id, [5, 21]), expected.cluster_id)
    shown = [row for cluster in made.clusters for name in cluster if "rows" in name for row in cluster[name]]
    assert not {5, 21} & {*shown}


@pytest.mark.parametrize("preset", ["morula", "paper"])
@pytest.mark.parametrize("count", [1, 4, 51])
def test_few_rows_and_equal_rows_are_clustered(preset: vectors.Preset, count: int) -> None:
    for rows in (kinds(count, columns=70)[0], np.ones((count, 70), np.float16)):
        made = vectors.group(rows, preset)
        assert len(made.cluster_id) == count
        assert sum(c["cell_count"] for c in made.clusters) + made.facts["noise_count"] == count
        assert np.isfinite(made.confidence).all()
    few = preset == "paper" and count < 5
    assert made.cluster_id.tolist() == [0 if few else 1] * count


def test_a_hundred_thousand_equal_rows_are_one_cluster() -> None:
    made = vectors.group(np.full((100_000, 3), 0.25, np.float16))
    assert [cluster["cell_count"] for cluster in made.clusters] == [100_000]
    assert not made.facts["structure_found"]


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(InvalidArgument, match="none of the 3 rows"):
        vectors.group(np.full((3, 2), np.nan))
    with pytest.raises(InvalidArgument, match="into 8 clusters at most, fewer than 40"):
        vectors.group(kinds(51)[0], cluster_count=40)
