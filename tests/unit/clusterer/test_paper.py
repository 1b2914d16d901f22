"""The published clustering: what umap-learn, kneed and scikit-learn say, called plainly, and its board."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from morula.clusterer import core, layout, paper, plain, servicer, tree, umap_child
from morula.clusterer.density import NOISE, Nearest
from morula.common.errors import Cancelled, InvalidArgument
from morula.common.formats import NOISE_LEAF
from tests.unit.clusterer.clouds import features, kinds

COLUMNS = 64


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.maximum(kinds(count, kind_count=6, columns=COLUMNS, apart=6, seed=seed)[0], 0).astype(np.float16)


def mapped_to(map_onto: paper.MapOnto) -> paper.Steps:
    return replace(paper.ON_PROCESSOR, map_onto=map_onto)


@pytest.mark.slow
def test_labels_and_confidence_are_those_of_the_libraries_called_plainly() -> None:
    rows = vectors(700)
    theirs, ours = plain.paper(rows), paper.cluster(rows, steps=umap_child.steps("umap-dbscan"))
    assert np.array_equal(ours.cluster, theirs.labels)
    assert np.array_equal(ours.confidence, theirs.confidence)
    assert ours.eps == theirs.eps
    assert ours.is_mapped
    assert ours.cluster_count > 3
    fixed = paper.cluster(rows, 0.5, steps=mapped_to(lambda *_: theirs.space))
    assert np.array_equal(fixed.cluster, plain.of_space(theirs.space, 0.5).labels)


def kept_neighbours(rows: np.ndarray, places: np.ndarray) -> float:
    """Share of the ten nearest rows that are among the ten nearest places."""
    nearest = [
        NearestNeighbors(n_neighbors=11).fit(of).kneighbors(of, return_distance=False)[:, 1:] for of in (rows, places)
    ]
    return float(np.mean([len(np.intersect1d(*pair)) / 10 for pair in zip(*nearest, strict=True)]))


@pytest.mark.slow
def test_a_plane_by_umap_keeps_more_neighbours_whether_its_rows_were_fitted_or_placed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = vectors(700).astype(np.float32)
    by_leaves = core.cluster(features(rows), core.Params()).layout
    least = kept_neighbours(rows, np.asarray(by_leaves, np.float32))
    assert layout.umap_plane(rows[: layout.FEWEST_FOR_UMAP], 3).shape == (4, 2)
    whole = layout.umap_plane(rows, 3)
    assert kept_neighbours(rows, whole) > 1.5 * least
    monkeypatch.setattr(layout, "SAMPLE_ROWS", 500)
    assert kept_neighbours(rows, layout.umap_plane(rows, 3)) > 1.2 * least


def nearest_at(fifth: list[float]) -> Nearest:
    distance = np.sort(np.tile(np.asarray(fifth)[:, None], 5), axis=1)
    return Nearest(distance, np.zeros(distance.shape, np.int64))


@pytest.mark.parametrize(
    ("fifth", "eps"),
    [
        ([0.3] * 4, 0.5),  # fewer rows than a cluster has
        ([0.3] * 10, 0.3),  # no knee: the 95th percentile
        ([0.0] * 90, 0.1),  # no distances at all
        ([0.0] * 99 + [0.7], 0.7),  # the knee is 0: the mean of what is more
    ],
)
def test_eps_has_the_published_fallbacks(fifth: list[float], eps: float) -> None:
    assert paper.find_eps(nearest_at(fifth)) == pytest.approx(eps)


@pytest.mark.parametrize("count", [1, 4, 5, 51])
def test_fewer_rows_than_umap_takes_are_clustered_as_they_are(count: int) -> None:
    found = paper.cluster(vectors(count))
    assert not found.is_mapped
    assert len(found.cluster) == count
    same = paper.cluster(np.repeat(vectors(1), count, axis=0))
    assert same.cluster.tolist() == [0 if count >= 5 else NOISE] * count


def test_rows_that_are_not_finite_are_noise_and_named_and_change_nothing() -> None:
    rows = vectors(40)
    broken = np.insert(rows, [3, 9], np.float16(0), axis=0)
    broken[3, 5], broken[10, 0] = np.nan, np.inf
    found, expected = paper.cluster(broken), paper.cluster(rows)
    assert found.unusable_rows.tolist() == [3, 10]
    assert found.cluster[[3, 10]].tolist() == [NOISE, NOISE]
    assert np.array_equal(np.delete(found.cluster, [3, 10]), expected.cluster)
    nothing = paper.cluster(np.full((7, 3), np.nan, np.float16))
    assert nothing.cluster.tolist() == [NOISE] * 7


def on_a_circle(groups: int) -> np.ndarray:
    angle = np.repeat(np.linspace(0, 6, groups), 5)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def as_it_is(space: np.ndarray, *_: object) -> np.ndarray:
    return space


def test_a_board_has_the_clusters_for_leaves_the_largest_first() -> None:
    rows = np.concatenate([on_a_circle(3), on_a_circle(3)[5:10], [[-1.0, 0.0]]]).astype(np.float16)
    params = core.Params(algorithm="umap-dbscan", eps=0.1, seed=42)
    made = core.cluster_as_published(features(rows), rows, params)
    assert made.leaf.tolist() == [1] * 5 + [0] * 5 + [2] * 5 + [0] * 5 + [NOISE_LEAF]
    assert made.confidence.tolist() == [255] * 20 + [0]
    assert (made.tree.leaf_count, made.tree.cluster_count, made.tree.noise_count) == (3, 3, 1)
    assert [made.tree.node(node).cell_count for node in (1, 2, 3, made.tree.root)] == [10, 5, 5, 20]
    assert made.tree.node_of_leaf(3) == [1, 2, 3]
    assert tree.from_json(tree.to_json(made.tree)) == made.tree


def test_a_board_of_noise_alone_has_one_empty_leaf() -> None:
    rows = on_a_circle(1)[:4]
    made = core.cluster_as_published(features(rows), rows, core.Params(algorithm="umap-dbscan"))
    assert made.leaf.tolist() == [NOISE_LEAF] * 4
    assert (made.tree.leaf_count, made.tree.noise_count, made.tree.structure.found) == (1, 4, False)


def test_more_clusters_than_a_board_holds_are_an_error_and_not_cut() -> None:
    rows = on_a_circle(4097)
    params = core.Params(algorithm="umap-dbscan", eps=1e-4)
    with pytest.raises(InvalidArgument, match=r"4,097 clusters.*holds 4,096: choose a larger eps"):
        core.cluster_as_published(features(rows), rows, params, steps=mapped_to(as_it_is))


@pytest.mark.parametrize(
    "fields",
    [
        {"algorithm": "leiden"},
        {"layout": "tsne"},
        {"eps": 0.5},
        {"algorithm": "umap-dbscan", "leaf_count": 9},
        {"eps": -1.0},
    ],
)
def test_what_would_be_taken_no_notice_of_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        core.Params(**fields)  # type: ignore[arg-type]


def test_a_map_that_nobody_waits_for_is_stopped() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text().split()

    def gone() -> None:
        started = set(children.read_text().split()) - set(before)
        assert len(started) == 1
        raise Cancelled("nobody waits")

    rows = vectors(60)
    board, asked = core.cluster(features(rows), core.Params()), core.Params(layout="umap")
    for start in (
        lambda: umap_child.umap("umap-dbscan", rows.astype(np.float32), 42, gone),
        lambda: servicer._laid_out(board, rows, asked, gone),
    ):
        with pytest.raises(Cancelled):
            start()
        assert children.read_text().split() == before
    assert servicer._laid_out(board, rows[:3], asked, gone) is board
