"""The labeller over a real channel: cuts, a model from a few seen cells, and the page that is worth most."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest

from morula.clusterer import core, tree
from morula.clusterer.features import Features
from morula.clusterer.labeller.servicer import LabellerServicer
from morula.common import errors, formats
from morula.common.compute import Slot
from morula.common.folder import FolderStore
from morula.common.rpc import from_rpc_error
from morula.common.store import Stored
from morula.common.testing import running
from morula.v1 import artifact_pb2, clusterer_pb2, labeller_pb2, labeller_pb2_grpc

ROWS, COLUMNS, KINDS = 1200, 6, 3
NO_LEAF = 65535


def ref(stored: Stored) -> artifact_pb2.ObjectRef:
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def kinds() -> tuple[np.ndarray, np.ndarray]:
    """Rows of three kinds that lie apart, and the class of each row."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, KINDS, ROWS)
    rows = rng.normal(0, 1, (ROWS, COLUMNS)) + np.eye(COLUMNS)[kind] * 5
    return rows.astype(np.float16), kind + 1


@dataclass(frozen=True)
class Bench:
    """A labeller that runs, and a clustering in its store."""

    stub: Any
    store: FolderStore
    clustering: clusterer_pb2.Clustering
    classes: np.ndarray
    leaf: np.ndarray
    cut: labeller_pb2.CutTreeResponse

    def seen(self, count: int, classes: np.ndarray | None = None) -> list[labeller_pb2.SeenCell]:
        classes_seen = self.classes if classes is None else classes
        return [
            labeller_pb2.SeenCell(row=row, class_number=int(classes_seen[row]), group=row % 7, page=1 + row // 12)
            for row in range(count)
        ]

    async def learn(
        self, seen: list[labeller_pb2.SeenCell], name: str = "a", **changes: Any
    ) -> labeller_pb2.LearnLabelsResponse:
        fields = {
            "clustering": self.clustering,
            "node_of_leaf": self.cut.node_of_leaf,
            "seen": seen,
            "class_key": f"p/l/class/{name}.bin",
            "confidence_key": f"p/l/label_confidence/{name}.bin",
            "model_key": f"p/l/model/{name}.json",
        }
        return await self.stub.LearnLabels(labeller_pb2.LearnLabelsRequest(**{**fields, **changes}))

    async def page(self, **fields: Any) -> labeller_pb2.NextPageResponse:
        request = labeller_pb2.NextPageRequest(clustering=self.clustering, node_of_leaf=self.cut.node_of_leaf, **fields)
        return await self.stub.NextPage(request)


@asynccontextmanager
async def labeller(store: FolderStore, noise: int = 0) -> AsyncIterator[Bench]:
    """So many of its first rows are in no cluster."""
    matrix, classes = kinds()
    names = tuple(f"f{number}" for number in range(COLUMNS))
    made = core.cluster(Features(matrix, names, COLUMNS, None), core.Params())
    made.leaf[:noise] = NO_LEAF
    clustering = clusterer_pb2.Clustering(
        leaf=ref(store.put("p/c/leaf/a.npy", formats.write_array(made.leaf))),
        tree=ref(store.put("p/c/tree/a.json", tree.to_json(made.tree))),
        features=ref(store.put("p/c/features/a.npy", formats.write_array(matrix))),
    )
    slot = Slot("labeller")
    async with running(LabellerServicer(store, slot)) as channel:
        stub = labeller_pb2_grpc.LabellerServiceStub(channel)
        cut = await stub.CutTree(labeller_pb2.CutTreeRequest(clustering=clustering))
        yield Bench(stub, store, clustering, classes, made.leaf, cut)
    slot.close()


async def test_cuts_the_tree_largest_cluster_first(folder_store: FolderStore) -> None:
    async with labeller(folder_store) as bench:
        three = await bench.stub.CutTree(labeller_pb2.CutTreeRequest(clustering=bench.clustering, cluster_count=3))
        sizes = [cluster.cell_count for cluster in three.clusters]
        assert len(three.clusters) == 3
        assert sizes == sorted(sizes, reverse=True)
        assert {cluster.node_id for cluster in three.clusters} == set(three.node_of_leaf)
        shown = three.clusters[0].representative_rows
        inside = np.asarray(three.node_of_leaf)[bench.leaf[list(shown)]]
        assert set(inside) == {three.clusters[0].node_id}
        for cluster in three.clusters:
            others = {one.node_id for one in three.clusters} - {cluster.node_id}
            assert {cell.near_node_id for cell in cluster.borderline} <= others
            told = [*cluster.outlying_rows, *(cell.row for cell in cluster.borderline)]
            assert {three.node_of_leaf[bench.leaf[row]] for row in told} == {cluster.node_id}


async def test_a_page_of_cells_in_no_cluster_says_which_they_are_like(folder_store: FolderStore) -> None:
    async with labeller(folder_store, noise=7) as bench:
        noise = np.flatnonzero(bench.leaf == NO_LEAF)
        assert bench.cut.noise.cell_count == len(noise) >= 7
        nodes = set(bench.cut.node_of_leaf)
        assert {cell.near_node_id for cell in bench.cut.noise.representatives} <= nodes
        page = await bench.page(noise=True, seen_rows=[int(noise[0])])
        assert {cell.row for cell in page.cells} <= set(noise[1:].tolist())
        assert (page.place.node_id, page.place.leaf) == (0, NO_LEAF)
        assert all(cell.near_node_id in nodes for cell in page.cells)
        assert not (await bench.page(noise=True, seen_rows=noise.tolist())).cells
        with pytest.raises(grpc.RpcError) as failure:
            await bench.page(noise=True, node_id=1)
        assert isinstance(from_rpc_error(failure.value), errors.InvalidArgument)


async def test_learns_a_class_for_every_row(folder_store: FolderStore) -> None:
    async with labeller(folder_store) as bench:
        learnt = await bench.learn(bench.seen(120))
        classes = np.frombuffer(folder_store.get(learnt.class_layer.key, learnt.class_layer.sha256), np.uint8)
        confidence = np.frombuffer(folder_store.get(learnt.confidence_layer.key), np.uint8)
        assert len(classes) == len(confidence) == ROWS
        assert np.mean(classes[120:] == bench.classes[120:]) > 0.97
        assert learnt.spread == labeller_pb2.SPREAD_MODEL
        assert (learnt.held_out.cell_count, learnt.held_out.page_count) == (120, 10)
        assert learnt.held_out.low <= learnt.held_out.accuracy <= learnt.held_out.high
        assert learnt.held_out.accuracy > 0.95
        assert learnt.held_out.model_macro_f1 > 0.95 > learnt.held_out.constant_macro_f1
        assert learnt.sure_count == np.count_nonzero(confidence >= 204)
        assert sum(count.cell_count for count in learnt.class_counts) == ROWS
        model = formats.read_json(folder_store.get(learnt.model.key))
        assert set(model) == {"classes", "coefficients", "intercepts", "temperature", "gradient"}
        assert await bench.learn(bench.seen(120)) == learnt


async def test_one_class_makes_no_model_and_names_clusters(folder_store: FolderStore) -> None:
    async with labeller(folder_store) as bench:
        learnt = await bench.learn(bench.seen(36, np.full(ROWS, 4)))
        assert not learnt.HasField("model")
        assert not learnt.HasField("class_layer")
        assert learnt.spread == labeller_pb2.SPREAD_CLUSTERS
        assert {name.class_number for name in learnt.effective_names} == {4}
        nothing = await bench.learn([], "b")
        assert nothing.spread == labeller_pb2.SPREAD_UNSPECIFIED
        assert not nothing.effective_names


async def test_pages_never_show_a_row_twice_and_do_not_stay_in_one_corner(folder_store: FolderStore) -> None:
    async with labeller(folder_store) as bench:
        seen: list[int] = []
        past: list[labeller_pb2.PagePlace] = []
        layers: dict[str, artifact_pb2.ObjectRef] = {}
        for number in range(30):
            page = await bench.page(seen_rows=seen, past=past, seed=5, **layers)
            rows = [cell.row for cell in page.cells]
            assert 1 <= len(rows) <= 12
            assert not set(rows) & set(seen)
            assert 0 <= page.worth <= 1
            if past:
                assert page.place != past[-1]
            seen, past = seen + rows, [*past, page.place]
            if number == 14:
                cells = [
                    labeller_pb2.SeenCell(row=row, class_number=int(bench.classes[row]), group=row % 5, page=1)
                    for row in seen
                ]
                learnt = await bench.learn(cells)
                layers = {"class_layer": learnt.class_layer, "confidence_layer": learnt.confidence_layer}
            if number > 14:
                is_doubt_next = number % 2 == 1
                assert (page.reason == labeller_pb2.PAGE_REASON_LEAST_SURE) is is_doubt_next
                assert all(1 <= cell.class_number <= KINDS for cell in page.cells)


async def test_stays_in_a_cluster_on_request_until_all_of_it_was_seen(folder_store: FolderStore) -> None:
    async with labeller(folder_store) as bench:
        node = bench.cut.clusters[-1].node_id
        leaves = [leaf for leaf, owner in enumerate(bench.cut.node_of_leaf) if owner == node]
        inside = np.flatnonzero(np.isin(bench.leaf, leaves))
        page = await bench.page(node_id=node, cell_count=5)
        assert page.reason == labeller_pb2.PAGE_REASON_REQUESTED
        assert len(page.cells) == 5
        assert {cell.row for cell in page.cells} <= set(inside.tolist())
        done = await bench.page(node_id=node, seen_rows=range(ROWS))
        assert not done.cells


async def test_refuses_what_makes_no_sense(folder_store: FolderStore) -> None:
    async with labeller(folder_store) as bench:
        twice = [labeller_pb2.SeenCell(row=3, class_number=1)] * 2
        beyond = [labeller_pb2.SeenCell(row=ROWS, class_number=1)]
        for seen in (twice, beyond):
            with pytest.raises(grpc.RpcError) as failure:
                await bench.learn(seen)
            assert isinstance(from_rpc_error(failure.value), errors.InvalidArgument)
        with pytest.raises(grpc.RpcError) as failure:
            await bench.page(cell_count=13)
        assert isinstance(from_rpc_error(failure.value), errors.InvalidArgument)
        with pytest.raises(grpc.RpcError) as failure:
            await bench.learn([], node_of_leaf=[1, 2])
        assert isinstance(from_rpc_error(failure.value), errors.InvalidArgument)
        with pytest.raises(grpc.RpcError) as failure:
            await bench.page(node_id=99_999)
        assert isinstance(from_rpc_error(failure.value), errors.NotFound)
