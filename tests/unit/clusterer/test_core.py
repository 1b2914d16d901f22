"""Clusters: equal bytes for equal seeds, nested cuts, splits that disturb nobody, and strangers left out."""

from __future__ import annotations

import numpy as np
import pytest

from morula.clusterer import core, leaves, tree
from morula.clusterer.core import Clustered
from morula.clusterer.splitting import split
from morula.common.errors import ArtifactInvalid, InvalidArgument, NotFound
from morula.common.formats import NOISE_LEAF
from tests.unit.clusterer.clouds import features, kinds


@pytest.fixture(scope="module")
def clustered() -> Clustered:
    return core.cluster(features(kinds(1200)[0]), core.Params(seed=7))


def test_the_same_seed_gives_the_same_bytes(clustered: Clustered) -> None:
    again = core.cluster(features(kinds(1200)[0]), core.Params(seed=7))
    other = core.cluster(features(kinds(1200)[0]), core.Params(seed=8))
    assert tree.to_json(again.tree) == tree.to_json(clustered.tree) != tree.to_json(other.tree)
    for name in ("leaf", "confidence", "layout"):
        assert getattr(again, name).tobytes() == getattr(clustered, name).tobytes()


def test_kinds_that_lie_apart_are_found_whole(clustered: Clustered) -> None:
    kind = kinds(1200)[1]
    node_of_leaf = np.asarray(clustered.tree.node_of_leaf(4))
    inside = clustered.leaf != NOISE_LEAF
    cluster = node_of_leaf[clustered.leaf[inside]]
    assert len(set(zip(cluster, kind[inside], strict=True))) == 4
    assert clustered.tree.structure.found
    assert clustered.tree.structure.p_value < 0.02


def test_every_row_has_a_leaf_a_node_and_a_place(clustered: Clustered) -> None:
    grown = clustered.tree
    sizes = np.bincount(clustered.leaf[clustered.leaf != NOISE_LEAF], minlength=grown.leaf_count)
    assert sizes.min() > 0
    assert {node.leaf: node.cell_count for node in grown.nodes if node.leaf is not None} == dict(enumerate(sizes))
    assert grown.node(grown.root).cell_count + grown.noise_count == 1200
    assert np.abs(clustered.layout).max() <= 1
    assert clustered.confidence[clustered.leaf == NOISE_LEAF].sum() == 0


def test_cuts_are_nested(clustered: Clustered) -> None:
    grown = clustered.tree
    for count in range(1, grown.leaf_count):
        coarse, fine = grown.node_of_leaf(count), grown.node_of_leaf(count + 1)
        assert len(set(coarse)) == count
        assert len(set(zip(fine, coarse, strict=True))) == len(set(fine)) == count + 1
    heights = [node.height for node in grown.nodes if node.leaf is None]
    assert heights == sorted(heights)


def test_representatives_lie_below_their_node(clustered: Clustered) -> None:
    grown = clustered.tree
    for node in grown.nodes:
        shown = clustered.leaf[list(node.representatives)]
        assert 1 <= len(node.representatives) == len(set(node.representatives)) <= 24
        assert set(shown.tolist()) <= set(grown.leaves_below(node.id))


def test_a_split_moves_only_the_cells_of_its_leaf(clustered: Clustered) -> None:
    matrix = features(kinds(1200)[0]).matrix
    leaf, grown = split(matrix, clustered.leaf, clustered.tree, 3, 3, 0)
    other = clustered.leaf != 2
    assert np.array_equal(leaf[other], clustered.leaf[other])
    assert set(leaf[~other].tolist()) == {2, clustered.tree.leaf_count, clustered.tree.leaf_count + 1}
    assert grown.leaf_count == clustered.tree.leaf_count + 2
    children = [grown.node(child) for child in grown.node(3).children]
    assert sum(child.cell_count for child in children) == grown.node(3).cell_count == int((~other).sum())
    assert 0 not in grown.node_of_leaf(grown.leaf_count)
    assert len(set(grown.node_of_leaf(grown.leaf_count))) == grown.leaf_count
    assert tree.from_json(tree.to_json(grown)) == grown
    deeper, deepest = split(matrix, leaf, grown, children[0].id, 2, 0)
    assert deepest.node(children[0].id).height <= grown.node(3).height
    assert len(np.unique(deeper)) == len(np.unique(leaf)) + 1


@pytest.mark.parametrize("part_count", [2, 3])
def test_a_split_shows_in_the_cut_that_is_looked_at_and_changes_no_other_cluster(
    clustered: Clustered, part_count: int
) -> None:
    matrix = features(kinds(1200)[0]).matrix
    for count in (1, 3, clustered.tree.leaf_count):
        shown = clustered.tree.cut_nodes(count)
        for node_id in shown:
            if 1 < len(clustered.tree.leaves_below(node_id)) < part_count:
                continue
            _, grown = split(matrix, clustered.leaf, clustered.tree, node_id, part_count, 0)
            (told,) = grown.splits
            assert (told.node_id, len(told.part_ids)) == (node_id, part_count)
            assert grown.cut_nodes(count + part_count - 1) == sorted({*shown, *told.part_ids} - {node_id})
            assert tree.from_json(tree.to_json(grown)) == grown


def test_what_is_in_parts_already_falls_into_them(clustered: Clustered) -> None:
    matrix = features(kinds(1200)[0]).matrix
    leaf, in_three = split(matrix, clustered.leaf, clustered.tree, 3, 3, 0)
    same, again = split(matrix, leaf, in_three, 3, 2, 0)
    assert np.array_equal(same, leaf)
    assert again.splits[-1].part_ids == in_three.node(3).children
    with pytest.raises(InvalidArgument):
        split(matrix, leaf, in_three, 3, 4, 0)


def test_a_split_that_cannot_be_is_refused(clustered: Clustered) -> None:
    matrix = features(kinds(1200)[0]).matrix
    with pytest.raises(NotFound):
        split(matrix, clustered.leaf, clustered.tree, 10_000, 2, 0)
    with pytest.raises(InvalidArgument):
        split(np.zeros_like(matrix), clustered.leaf, clustered.tree, 1, 2, 0)


def test_assignment_gives_back_own_rows_and_abstains_far_away(clustered: Clustered) -> None:
    rows = features(kinds(1200)[0]).matrix
    model = core.leaf_model(rows, clustered.leaf, clustered.tree)
    assert np.mean(leaves.assign(rows, model).leaf == clustered.leaf) > 0.98
    stranger = np.full((3, rows.shape[1]), -30, np.float16)
    assigned = leaves.assign(stranger, model)
    assert assigned.leaf.tolist() == [NOISE_LEAF] * 3
    assert not assigned.confidence.any()


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_few_or_equal_rows_are_clustered_too(count: int) -> None:
    for rows in (np.zeros((count, 3)), kinds(count, 2, 3)[0]):
        made = core.cluster(features(rows), core.Params())
        assert made.tree.node(made.tree.root).cell_count + made.tree.noise_count == count
        assert not made.tree.structure.found
        assert np.isfinite(made.layout).all()


def test_no_rows_and_no_tree_are_errors() -> None:
    with pytest.raises(InvalidArgument):
        core.cluster(features(np.zeros((0, 3))), core.Params())
    for content in (b"", b"{}", b'{"nodes": [1]}'):
        with pytest.raises(ArtifactInvalid):
            tree.from_json(content)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_rows_of_which_nothing_is_known_are_in_no_cluster(share: float) -> None:
    rows = kinds(600)[0]
    unknown = np.arange(len(rows)) < share * len(rows)
    rows[unknown] = 0.0
    made = core.cluster(features(rows), core.Params(), known=~unknown)
    assert np.array_equal(made.leaf == NOISE_LEAF, unknown)
    assert not made.confidence[unknown].any()
    assert made.tree.noise_count == unknown.sum()
    rest = core.cluster(features(rows[~unknown]), core.Params()) if share < 1 else made
    assert np.array_equal(made.leaf[~unknown], rest.leaf[~unknown] if share == 1 else rest.leaf)


def test_of_four_rows_none_is_told_to_be_far() -> None:
    made = core.cluster(features(np.random.default_rng(0).normal(size=(4, 6))), core.Params())
    assert made.leaf.tolist() == [0] * 4
