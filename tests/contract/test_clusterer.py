"""The clusterer over a real channel: cells settled once, clusters by key, progress and then one result."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest

from morula.clusterer import tree
from morula.clusterer.servicer import ClustererServicer
from morula.common import errors, formats
from morula.common.compute import Slot
from morula.common.folder import FolderStore
from morula.common.models import find
from morula.common.rpc import from_rpc_error
from morula.common.shard_lists import write_shard_list
from morula.common.store import Stored
from morula.common.testing import fake_shard, running
from morula.v1 import artifact_pb2, clusterer_pb2, clusterer_pb2_grpc

SPEC = find("morphology", "embedder")
EMBEDDER = artifact_pb2.ModelRef(name=SPEC.name, revision=SPEC.revision)
IDENTITY = clusterer_pb2.CellIdentity(
    slide_digest="0" * 64,
    object_kind="nucleus",
    model=artifact_pb2.ModelRef(name="watershed", revision="0" * 64),
    mpp=0.5,
    slide_mpp=0.5,
)


def ref(stored: Stored) -> artifact_pb2.ObjectRef:
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def shelved_shards(store: FolderStore) -> list[artifact_pb2.ShardCells]:
    """One shard, whose cells are of two kinds that lie far apart in every column."""
    rng = np.random.default_rng(0)
    cells = fake_shard(size_px=1024).cells
    count = formats.read_metadata(formats.read_cells(cells))["cell_count"]
    kind = rng.integers(0, 2, (count, 1)) * 4.0 - 2.0
    vectors = np.asarray(SPEC.location) + np.asarray(SPEC.scale) * (kind + rng.normal(0, 0.3, (count, 1)))
    named = dict(zip(SPEC.columns, vectors.T, strict=True))
    return [
        artifact_pb2.ShardCells(
            cells=ref(store.put("p/s/cells/0.parquet", cells)),
            vectors=ref(store.put("p/s/vectors/0.npy", formats.write_array(vectors.astype(np.float16)))),
            morphology=ref(store.put("p/s/morphology/0.parquet", formats.write_morphology(named, {}))),
        )
    ]


def keys(name: str = "a") -> clusterer_pb2.ClusteringKeys:
    return clusterer_pb2.ClusteringKeys(
        leaf_key=f"p/c/leaf/{name}.npy",
        tree_key=f"p/c/tree/{name}.json",
        features_key=f"p/c/features/{name}.npy",
        confidence_key=f"p/c/confidence/{name}.npy",
        layout_key=f"p/c/layout/{name}.npy",
    )


@dataclass(frozen=True)
class Bench:
    """A clusterer that runs, its store and the shards of a slide in it."""

    stub: Any
    store: FolderStore
    slot: Slot
    shards: list[artifact_pb2.ShardCells]

    def listed(self, shards: Sequence[artifact_pb2.ShardCells]) -> artifact_pb2.ObjectRef:
        content = write_shard_list(shards)
        return ref(self.store.put(f"p/s/shards/{hashlib.sha256(content).hexdigest()}.binpb", content))

    async def settle(
        self, shards: Sequence[artifact_pb2.ShardCells] | None = None, **changes: Any
    ) -> clusterer_pb2.SettleCellsResult:
        fields = {
            "identity": IDENTITY,
            "shard_list": self.listed(self.shards if shards is None else shards),
            "index_key": "p/s/index/a.parquet",
            "outlines_key": "p/s/outlines/a.arrow",
        }
        request = clusterer_pb2.SettleCellsRequest(**{**fields, **changes})
        return (await events(self.stub.SettleCells(request)))[-1].result

    async def cluster(self, settled: artifact_pb2.SettledSlide, name: str = "a") -> clusterer_pb2.ClusterCellsResult:
        return (await events(self.stub.ClusterCells(request_for(settled, name))))[-1].result

    def array(self, ref: artifact_pb2.ObjectRef) -> np.ndarray:
        return formats.read_array(self.store.get(ref.key, ref.sha256))


def request_for(settled: artifact_pb2.SettledSlide, name: str = "a") -> clusterer_pb2.ClusterCellsRequest:
    return clusterer_pb2.ClusterCellsRequest(
        slides=[settled], embedder=EMBEDDER, params=clusterer_pb2.ClusterParams(seed=3), keys=keys(name)
    )


async def events(call: Any) -> list[Any]:
    return [event async for event in call]


@asynccontextmanager
async def clusterer(store: FolderStore) -> AsyncIterator[Bench]:
    slot = Slot("clusterer")
    async with running(ClustererServicer(store, slot)) as channel:
        yield Bench(clusterer_pb2_grpc.ClustererServiceStub(channel), store, slot, shelved_shards(store))
    slot.close()


async def test_settles_clusters_and_says_how_far_it_is(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        result = await bench.settle()
        settled = result.settled
        index = formats.read_index(folder_store.get(settled.index.key, settled.index.sha256))
        assert settled.cell_count == index.num_rows > 100
        assert len(set(index["cell_id"].to_pylist())) == index.num_rows
        assert formats.read_outlines(folder_store.get(settled.outlines.key)).num_rows == index.num_rows

        answers = await events(bench.stub.ClusterCells(request_for(settled)))
        assert [event.WhichOneof("event") for event in answers] == ["progress"] * (len(answers) - 1) + ["result"]
        assert answers[0].progress.total_count > 1
        made = answers[-1].result
        assert made.cell_count == settled.cell_count
        assert made.structure_found
        clustering = made.clustering
        leaf, features = bench.array(clustering.leaf), bench.array(clustering.features)
        assert leaf.dtype == np.uint16
        assert features.dtype == np.float16
        assert features.shape == (settled.cell_count, 2 * len(SPEC.columns))
        assert bench.array(clustering.layout).shape == (settled.cell_count, 2)
        assert bench.array(clustering.confidence).dtype == np.uint8
        grown = tree.from_json(folder_store.get(clustering.tree.key))
        assert (grown.leaf_count, grown.noise_count) == (made.leaf_count, made.noise_count)


async def test_calls_can_be_repeated_and_are_equal_by_the_byte(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        settled = (await bench.settle()).settled
        assert (await bench.settle()).settled == settled
        first, again = await bench.cluster(settled), await bench.cluster(settled)
        assert first == again
        elsewhere = await bench.cluster(settled, "b")
        for one, other in zip(digests(first.clustering), digests(elsewhere.clustering), strict=True):
            assert one == other


async def test_a_slide_that_names_its_shards_itself_gives_the_same_clustering(folder_store: FolderStore) -> None:
    """As slides did that were settled before their shards lay in a list."""
    async with clusterer(folder_store) as bench:
        settled = (await bench.settle()).settled
        plain = artifact_pb2.SettledSlide(shards=bench.shards)
        plain.MergeFrom(settled)
        plain.ClearField("shard_list")
        cohorts = [request_for(slide, name) for slide, name in ((settled, "a"), (plain, "b"))]
        for cohort in cohorts:
            cohort.slides.append(cohort.slides[0])
        first, again = [(await events(bench.stub.ClusterCells(cohort)))[-1].result for cohort in cohorts]
        assert first.cell_count == 2 * settled.cell_count
        assert digests(first.clustering) == digests(again.clustering)


def digests(clustering: clusterer_pb2.Clustering) -> list[str]:
    return [getattr(clustering, name).sha256 for name in ("leaf", "tree", "features", "confidence", "layout")]


async def test_a_region_that_was_cut_again_is_taken_from_the_last_shard_that_holds_it(
    folder_store: FolderStore,
) -> None:
    async with clusterer(folder_store) as bench:
        [first] = bench.shards
        cells = formats.read_cells(folder_store.get(first.cells.key))
        columns = {name: cells[name].slice(0, 10) for name in cells.column_names}
        columns["state"] = ["truncated"] + ["whole"] * 9
        counts = {"cell_count": 10, "truncated_cell_count": 1, "truncated_regions": [0]}
        content = formats.write_cells(columns, formats.read_metadata(cells) | counts)
        again = artifact_pb2.ShardCells(
            cells=ref(folder_store.put("p/s/cells/again.parquet", content)),
            vectors=first.vectors,
            morphology=first.morphology,
        )
        result = await bench.settle(shards=[first, again])
        index = formats.read_index(folder_store.get(result.settled.index.key))
        assert index["shard"].to_pylist() == [1] * 10
        assert sorted(index["row"].to_pylist()) == list(range(10))
        assert (result.settled.cell_count, result.dropped_cell_count, result.truncated_cell_count) == (10, 0, 1)
        assert await bench.settle(shards=[first, again]) == result, "what exists is answered with the same counts"


async def test_a_slide_without_tissue_settles_to_nothing_and_cannot_be_clustered(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        settled = (await bench.settle(shards=[])).settled
        assert settled.cell_count == 0
        settled.shard_list.CopyFrom(bench.listed(bench.shards))
        with pytest.raises(grpc.RpcError) as failure:
            await bench.cluster(settled)
        assert isinstance(from_rpc_error(failure.value), errors.InvalidArgument)


async def test_clusters_as_published_where_it_is_asked_to(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        [few] = bench.shards
        cells = formats.read_cells(folder_store.get(few.cells.key))
        content = formats.write_cells(
            {name: cells[name].slice(0, 30) for name in cells.column_names},
            formats.read_metadata(cells) | {"cell_count": 30},
        )
        few.cells.CopyFrom(ref(folder_store.put("p/s/cells/few.parquet", content)))
        request = request_for((await bench.settle(shards=[few])).settled)
        request.params.algorithm = "umap-dbscan"
        made = (await events(bench.stub.ClusterCells(request)))[-1].result
        # The vectors are two directions of length one, one for each kind.
        assert (made.cell_count, made.leaf_count, made.cluster_count) == (30, 2, 2)
        assert bench.array(made.clustering.features).shape == (30, 2 * len(SPEC.columns))
        request.params.algorithm = "no such"
        with pytest.raises(grpc.RpcError) as failure:
            await events(bench.stub.ClusterCells(request))
        assert isinstance(from_rpc_error(failure.value), errors.InvalidArgument)


async def test_splits_leaves_and_what_was_merged_of_them(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        made = await bench.cluster((await bench.settle()).settled)
        before = bench.array(made.clustering.leaf)
        wanted = clusterer_pb2.SplitClusterRequest(
            clustering=made.clustering, node_id=1, part_count=3, leaf_key="p/c/leaf/s.npy", tree_key="p/c/tree/s.json"
        )
        split = await bench.stub.SplitCluster(wanted)
        after = bench.array(split.clustering.leaf)
        assert len(split.child_ids) == 3
        assert np.array_equal(before[before != 0], after[before != 0])
        assert set(after[before == 0]) == {0, made.leaf_count, made.leaf_count + 1}
        assert await bench.stub.SplitCluster(wanted) == split
        again = clusterer_pb2.SplitClusterRequest(
            clustering=split.clustering, node_id=1, leaf_key="p/c/leaf/t.npy", tree_key="p/c/tree/t.json"
        )
        merged = await bench.stub.SplitCluster(again)
        assert merged.child_ids == split.child_ids
        assert np.array_equal(bench.array(merged.clustering.leaf), after)


async def test_groups_anew_what_is_not_locked(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        made = await bench.cluster((await bench.settle()).settled)
        before = bench.array(made.clustering.leaf)
        wanted = clusterer_pb2.RegroupCellsRequest(
            clustering=made.clustering,
            locked_ids=[1, 2],
            cluster_count=3,
            leaf_key="p/c/leaf/r.npy",
            tree_key="p/c/tree/r.json",
            confidence_key="p/c/confidence/r.npy",
        )
        anew = await bench.stub.RegroupCells(wanted)
        stays = before < 2
        for name in ("leaf", "confidence"):
            was, now = (bench.array(getattr(each.clustering, name)) for each in (made, anew))
            assert np.array_equal(now[stays], was[stays])
        assert len(anew.cluster_ids) == 3
        assert (anew.clustering.features, anew.clustering.layout) == (made.clustering.features, made.clustering.layout)
        assert await bench.stub.RegroupCells(wanted) == anew
        grown = tree.from_json(folder_store.get(anew.clustering.tree.key))
        assert grown.cut_nodes(5) == sorted([1, 2, *anew.cluster_ids])
        for changed, error in (
            ({"cluster_count": 5000}, errors.InvalidArgument),
            ({"locked_ids": [60_000]}, errors.NotFound),
        ):
            fields = {field.name: value for field, value in wanted.ListFields()} | {"leaf_key": "p/c/leaf/x.npy"}
            strange = clusterer_pb2.RegroupCellsRequest(**{**fields, **changed})
            with pytest.raises(grpc.RpcError) as failure:
                await bench.stub.RegroupCells(strange)
            assert isinstance(from_rpc_error(failure.value), error)


async def test_assigns_its_own_cells_and_abstains_from_strangers(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        settled = (await bench.settle()).settled
        made = await bench.cluster(settled)
        wanted = clusterer_pb2.AssignCellsRequest(
            clustering=made.clustering,
            slide=settled,
            embedder=EMBEDDER,
            keys=request_for(settled, "o").keys,
        )
        own = await bench.stub.AssignCells(wanted)
        before, both = bench.array(made.clustering.leaf), bench.array(own.clustering.leaf)
        assert np.array_equal(both[: len(before)], before)
        assert np.mean(both[len(before) :] == before) > 0.98
        for name in ("features", "confidence", "layout"):
            one, two = (bench.array(getattr(each.clustering, name)) for each in (made, own))
            assert np.array_equal(two[: len(one)], one)
            assert len(two) == 2 * len(one)
        assert np.abs(two[len(one) :] - one).max() < 0.5, "they lie on the map where they lay"
        assert own.abstained_count == np.count_nonzero(both[len(before) :] == formats.NOISE_LEAF)
        assert await bench.stub.AssignCells(wanted) == own
        # Cells of which nothing is known but that they are between the two kinds.
        [shard] = bench.shards
        strange = np.tile(np.asarray(SPEC.location, np.float16), (len(bench.array(shard.vectors)), 1))
        stored = folder_store.put("p/t/vectors/0.npy", formats.write_array(strange))
        stranger = artifact_pb2.ShardCells(cells=shard.cells, vectors=ref(stored), morphology=shard.morphology)
        wanted.slide.shard_list.CopyFrom(bench.listed([stranger]))
        wanted.keys.CopyFrom(request_for(settled, "t").keys)
        strangers = await bench.stub.AssignCells(wanted)
        assert strangers.abstained_count == settled.cell_count
        assert not bench.array(strangers.clustering.confidence)[len(before) :].any()


async def test_refuses_an_unknown_model_and_missing_fields(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        wanted = request_for((await bench.settle()).settled)
        wanted.embedder.revision = "f" * 64
        with pytest.raises(grpc.RpcError) as failure:
            await events(bench.stub.ClusterCells(wanted))
        assert isinstance(from_rpc_error(failure.value), errors.ModelUnavailable)
        with pytest.raises(grpc.RpcError) as failure:
            await events(bench.stub.SettleCells(clusterer_pb2.SettleCellsRequest()))
        assert isinstance(from_rpc_error(failure.value), errors.MissingField)


async def test_a_cancelled_clustering_leaves_its_place(folder_store: FolderStore) -> None:
    async with clusterer(folder_store) as bench:
        settled = (await bench.settle()).settled
        call = bench.stub.ClusterCells(request_for(settled))
        async for event in call:
            assert event.WhichOneof("event") == "progress"
            break
        call.cancel()
        async with asyncio.timeout(20):
            result = await bench.cluster(settled, "b")
        assert result.cell_count == settled.cell_count
