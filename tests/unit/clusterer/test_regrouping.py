"""The rest is grouped anew: what is locked stays as it is, and one tree holds both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.clusterer import core, tree
from morula.clusterer.core import Clustered
from morula.clusterer.regrouping import Wanted, regroup
from morula.clusterer.splitting import split
from morula.common.errors import InvalidArgument, NotFound
from morula.common.formats import NOISE_LEAF
from tests.unit.clusterer.clouds import features, kinds

ROWS = 600
MATRIX = features(kinds(ROWS)[0]).matrix


@pytest.fixture(scope="module")
def clustered() -> Clustered:
    return core.cluster(features(kinds(ROWS)[0]), core.Params(seed=7))


def node_of_rows(made: Clustered, count: int) -> np.ndarray:
    """Node of each row in a cut; 0 in none."""
    table = np.zeros(NOISE_LEAF + 1, np.int64)
    table[: made.tree.leaf_count] = made.tree.node_of_leaf(count)
    return table[made.leaf]


def rows_of(made: Clustered, node_id: int) -> np.ndarray:
    return np.flatnonzero(np.isin(made.leaf, made.tree.leaves_below(node_id)))


def check_sound(made: Clustered, row_count: int) -> None:
    """Every row is in one leaf or in none, leaves have no gaps, nodes hold what lies below, and cuts are nested."""
    grown = made.tree
    sizes = np.bincount(made.leaf, minlength=NOISE_LEAF + 1)
    assert sizes[: grown.leaf_count].sum() + grown.noise_count == row_count == len(made.leaf)
    assert sizes[NOISE_LEAF] == grown.noise_count
    assert not made.confidence[made.leaf == NOISE_LEAF].any()
    assert sorted(node.leaf for node in grown.nodes if node.leaf is not None) == list(range(grown.leaf_count))
    for node in grown.nodes:
        assert node.cell_count == sizes[grown.leaves_below(node.id)].sum()
        assert all(grown.node(child).parent == node.id for child in node.children)
        assert set(made.leaf[list(node.representatives)].tolist()) <= set(grown.leaves_below(node.id))
    assert [node.id for node in grown.nodes if node.parent is None] == [grown.root]
    for count in range(1, min(grown.leaf_count, 60)):
        coarse, fine = grown.node_of_leaf(count), grown.node_of_leaf(count + 1)
        assert len(set(coarse)) <= len(set(fine)) == len(set(zip(fine, coarse, strict=True))) <= count + 1
    assert tree.from_json(tree.to_json(grown)) == grown


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_what_is_locked_stays_and_all_else_is_made_anew(clustered: Clustered, data: st.DataObject) -> None:
    before = clustered
    for _ in range(data.draw(st.integers(1, 2), "times")):
        ids = [node.id for node in before.tree.nodes if node.id != before.tree.root]
        locked = data.draw(st.lists(st.sampled_from(ids), max_size=5, unique=True), "locked")
        wanted = Wanted(data.draw(st.sampled_from([0, 1, 3, 30]), "clusters"), seed=data.draw(st.integers(0, 2)))
        stays = np.zeros(ROWS, bool)
        for node_id in locked:
            stays[rows_of(before, node_id)] = True
        if stays.all():
            return
        after = regroup(before, MATRIX, locked, wanted)
        check_sound(after, ROWS)
        told = after.tree.regrouped
        assert told is not None
        assert set(told.locked_ids) <= set(locked)
        below = {node.id for node_id in locked for node in before.tree.below(node_id)}
        for node_id in below:
            assert np.array_equal(rows_of(after, node_id), rows_of(before, node_id))
            was, now = before.tree.node(node_id), after.tree.node(node_id)
            assert replace(now, leaf=None, parent=None) == replace(was, leaf=None, parent=None)
        assert np.array_equal(after.confidence[stays], before.confidence[stays])
        assert after.layout is before.layout
        fresh = after.tree.by_id.keys() - below
        assert min(fresh) > max(before.tree.by_id)
        # The cut that is proposed.
        shown = after.tree.cut_nodes(after.tree.cluster_count)
        assert shown == sorted((*told.locked_ids, *told.cluster_ids))
        assert len(told.cluster_ids) <= (wanted.cluster_count or ROWS)
        sizes = [after.tree.node(node_id).cell_count for node_id in told.cluster_ids]
        assert sizes == sorted(sizes, reverse=True)
        assert not np.isin(node_of_rows(after, after.tree.cluster_count)[~stays], told.locked_ids).any()
        before = after


def test_leaves_that_stay_keep_their_numbers_and_the_same_again_gives_the_same_bytes(clustered: Clustered) -> None:
    locked = clustered.tree.cut_nodes(4)[:2]
    stays = np.isin(node_of_rows(clustered, 4), locked)
    after, again = (regroup(clustered, MATRIX, locked, Wanted(seed=3)) for _ in range(2))
    assert np.array_equal(after.leaf[stays], clustered.leaf[stays])
    assert tree.to_json(again.tree) == tree.to_json(after.tree)
    assert again.leaf.tobytes() == after.leaf.tobytes()
    assert again.confidence.tobytes() == after.confidence.tobytes()
    other = regroup(clustered, MATRIX, locked, Wanted(seed=4))
    assert tree.to_json(other.tree) != tree.to_json(after.tree)


def test_kinds_of_the_rest_are_found_although_one_that_stays_drowned_them() -> None:
    # Of 2000 cells 200 are of three kinds that differ less from each other than the many do among themselves.
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2, 3], [1800, 70, 65, 65])
    rows = rng.normal(0, 1, (2000, 6)) * np.where(kind > 0, 0.15, 1.0)[:, None]
    rows[kind > 0, 5] += 30
    rows[np.arange(2000), kind % 5] += np.where(kind > 0, 3.0, 0.0)
    before = core.cluster(features(rows), core.Params())
    assert len(set(node_of_rows(before, before.tree.cluster_count)[kind > 0])) == 1
    (many,) = (node for node in before.tree.cut_nodes(2) if before.tree.node(node).cell_count > 1000)
    after = regroup(before, features(rows).matrix, [many], Wanted())
    found = node_of_rows(after, after.tree.cluster_count)
    assert all(len(set(kind[found == node])) == 1 for node in set(found[kind > 0]) - {0})
    assert np.mean(found[kind > 0] > 0) > 0.9


def test_where_nothing_is_locked_all_is_made_anew(clustered: Clustered) -> None:
    after = regroup(clustered, MATRIX, [], Wanted(seed=7))
    assert np.array_equal(after.leaf, clustered.leaf)
    assert after.tree.cluster_count == clustered.tree.cluster_count
    assert not after.tree.by_id.keys() & clustered.tree.by_id.keys()


def test_clusters_that_were_split_stay_in_their_parts(clustered: Clustered) -> None:
    leaf, grown = split(MATRIX, clustered.leaf, clustered.tree, 3, 3, 0)
    after = regroup(replace(clustered, leaf=leaf, tree=grown), MATRIX, [3], Wanted(cluster_count=2))
    check_sound(after, ROWS)
    assert after.tree.node(3).children == grown.node(3).children
    assert after.tree.splits == grown.splits
    further, parted = split(MATRIX, after.leaf, after.tree, after.tree.cut_nodes(3)[-1], 2, 0)
    check_sound(replace(after, leaf=further, tree=parted), ROWS)


def test_where_nothing_is_left_it_is_refused(clustered: Clustered) -> None:
    sure = replace(clustered, leaf=np.where(clustered.leaf == NOISE_LEAF, 0, clustered.leaf).astype(np.uint16))
    for locked in ([clustered.tree.root], clustered.tree.cut_nodes(5)):
        with pytest.raises(InvalidArgument, match="nothing is left"):
            regroup(sure, MATRIX, locked, Wanted())
    with pytest.raises(NotFound):
        regroup(clustered, MATRIX, [1, 60_000], Wanted())
    with pytest.raises(InvalidArgument):
        Wanted(cluster_count=-1)


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(cluster_count=5)])
def test_one_cell_that_is_left_is_a_cluster(clustered: Clustered, wanted: Wanted) -> None:
    one = clustered.leaf.copy()
    one[one == NOISE_LEAF] = 0
    one[17] = NOISE_LEAF
    alone = replace(clustered, leaf=one)
    after = regroup(alone, MATRIX, [clustered.tree.root], wanted)
    assert np.array_equal(np.delete(after.leaf, 17), np.delete(one, 17))
    assert after.leaf[17] == clustered.tree.leaf_count
    assert after.tree.cluster_count == 2
    assert after.tree.noise_count == 0


def test_equal_cells_that_are_left_are_one_cluster() -> None:
    rows = np.concatenate([kinds(300)[0], np.full((60, 6), 20.0)])
    before = core.cluster(features(rows), core.Params())
    leaf = before.leaf.copy()
    leaf[300:] = NOISE_LEAF
    after = regroup(replace(before, leaf=leaf), features(rows).matrix, [before.tree.root], Wanted(cluster_count=9))
    assert len(set(after.leaf[300:].tolist())) == 1
    assert after.leaf[300] != NOISE_LEAF


def test_cells_of_which_nothing_is_known_stay_in_no_cluster() -> None:
    rows = kinds(600)[0]
    unknown = np.arange(len(rows)) % 3 == 0
    rows[unknown] = 0.0
    before = core.cluster(features(rows), core.Params(), known=~unknown)
    matrix = features(rows).matrix
    after = regroup(before, matrix, before.tree.cut_nodes(4)[:1], Wanted())
    check_sound(after, 600)
    assert (after.leaf[unknown] == NOISE_LEAF).all()
    locked = [before.tree.root]
    known_noise = (before.leaf == NOISE_LEAF) & ~unknown
    sure = replace(before, leaf=np.where(known_noise, 0, before.leaf).astype(np.uint16))
    with pytest.raises(InvalidArgument, match="nothing is left"):
        regroup(sure, matrix, locked, Wanted())
