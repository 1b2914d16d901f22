"""ClustererService: keys in, keys out; the work is in the cores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from morula.clusterer import core, features, settle, tables, tree, umap_child
from morula.clusterer.adding import add
from morula.clusterer.arrays import Halves, Leaves
from morula.clusterer.core import Clustered, Report
from morula.clusterer.layout import FEWEST_FOR_UMAP, fitted
from morula.clusterer.mixing import mixing
from morula.clusterer.regrouping import Wanted, regroup
from morula.clusterer.splitting import split
from morula.common import answers
from morula.common.clustering import IMPORTED, check_installed, installed, way_of
from morula.common.compute import Checkpoint, Slot
from morula.common.errors import InvalidArgument, of_artifact
from morula.common.formats import CLUSTERING_ARTIFACTS, read_array, write_array
from morula.common.models import resolve
from morula.common.progress import with_progress
from morula.common.refs import key_of, ref_of
from morula.common.shard_lists import read_shard_list, shards_of
from morula.common.store import Store, Stored
from morula.v1 import artifact_pb2, clusterer_pb2, clusterer_pb2_grpc


class ClustererServicer(clusterer_pb2_grpc.ClustererServiceServicer):
    """One clustering at a time on its slot."""

    def __init__(self, store: Store, slot: Slot) -> None:
        self._store = store
        self._slot = slot

    async def SettleCells(  # noqa: N802 - the contract's name
        self,
        request: clusterer_pb2.SettleCellsRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> AsyncIterator[clusterer_pb2.SettleCellsResponse]:
        async for event in with_progress(self._slot, lambda check, report: self._settle(request, check, report)):
            if isinstance(event, artifact_pb2.Progress):
                yield clusterer_pb2.SettleCellsResponse(progress=event)
            else:
                yield clusterer_pb2.SettleCellsResponse(result=event)

    async def ClusterCells(  # noqa: N802 - the contract's name
        self,
        request: clusterer_pb2.ClusterCellsRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> AsyncIterator[clusterer_pb2.ClusterCellsResponse]:
        params = core.Params(**{field.name: value for field, value in request.params.ListFields()})
        async for event in with_progress(
            self._slot, lambda check, report: self._cluster(request, params, check, report)
        ):
            if isinstance(event, artifact_pb2.Progress):
                yield clusterer_pb2.ClusterCellsResponse(progress=event)
            else:
                yield clusterer_pb2.ClusterCellsResponse(result=event)

    async def SplitCluster(  # noqa: N802 - the contract's name
        self,
        request: clusterer_pb2.SplitClusterRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> clusterer_pb2.SplitClusterResponse:
        return await self._slot.run(lambda _: self._split(request))

    async def RegroupCells(  # noqa: N802 - the contract's name
        self,
        request: clusterer_pb2.RegroupCellsRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> clusterer_pb2.RegroupCellsResponse:
        wanted = Wanted(request.cluster_count, request.leaf_count, request.seed)
        return await self._slot.run(lambda checkpoint: self._regroup(request, wanted, checkpoint))

    async def AssignCells(  # noqa: N802 - the contract's name
        self,
        request: clusterer_pb2.AssignCellsRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> clusterer_pb2.AssignCellsResponse:
        return await self._slot.run(lambda checkpoint: self._assign(request, checkpoint))

    def _settle(
        self, request: clusterer_pb2.SettleCellsRequest, checkpoint: Checkpoint, report: Report
    ) -> clusterer_pb2.SettleCellsResult:
        index, outlines = self._store.stat(request.index_key), self._store.stat(request.outlines_key)
        if index is None or outlines is None:
            index, outlines = self._settled(request, checkpoint, report)
        digest = request.identity.slide_digest
        return answers.settled(self._store, digest, ref_of(index), ref_of(outlines), request.shard_list)

    def _settled(
        self, request: clusterer_pb2.SettleCellsRequest, checkpoint: Checkpoint, report: Report
    ) -> tuple[Stored, Stored]:
        identity = _identity(request.identity)
        listed = read_shard_list(self._store, request.shard_list)
        total = len(listed) + 2
        shards = [tables.no_cells()]
        for number, shard in enumerate(listed):
            checkpoint()
            report(number, total, "reading shards")
            shards.append(tables.shard_cells(self._store, key_of(shard.cells), number))
        report(total - 2, total, "resolving seams")
        settled = settle.settle(settle.join(shards), identity)
        checkpoint()
        report(total - 1, total, "drawing outlines")
        outlines = self._store.put(request.outlines_key, tables.outline_bytes(settled))
        checkpoint()
        return self._store.put(request.index_key, tables.index_bytes(settled, identity)), outlines

    def _cluster(
        self,
        request: clusterer_pb2.ClusterCellsRequest,
        params: core.Params,
        checkpoint: Checkpoint,
        report: Report,
    ) -> clusterer_pb2.ClusterCellsResult:
        scale = _scale(request.embedder)
        keys = request.keys
        names = [getattr(keys, f"{name}_key") for name in CLUSTERING_ARTIFACTS]
        stored = [self._store.stat(name) for name in names]
        if any(found is None for found in stored):
            check_installed(params.algorithm, installed())
            check_installed(way_of(params.layout), installed())
            slides = [self._vectors(slide) for slide in request.slides]
            with threadpool_limits(1):
                made = features.build(slides, scale, params.neighbours)
            clustered = self._grouped(request, made, slides, params, checkpoint, report)
            clustered = _laid_out(clustered, made.matrix, params, checkpoint)
            checkpoint()
            clustered = _mixed(clustered, made, slides, params)
            contents = _contents(clustered, made.matrix)
            stored = [self._store.put(name, content) for name, content in zip(names, contents, strict=True)]
        refs = [ref_of(found) for found in stored if found is not None]
        clustering = clusterer_pb2.Clustering(**dict(zip(CLUSTERING_ARTIFACTS, refs, strict=True)))
        return answers.clustered(self._store, clustering)

    def _split(self, request: clusterer_pb2.SplitClusterRequest) -> clusterer_pb2.SplitClusterResponse:
        leaf, grown = self._store.stat(request.leaf_key), self._store.stat(request.tree_key)
        if leaf is None or grown is None:
            parted, parted_tree = split(
                self._features(request.clustering),
                self._leaf(request.clustering),
                self._tree(request.clustering),
                request.node_id,
                request.part_count or 2,
                request.seed,
            )
            leaf = self._store.put(request.leaf_key, write_array(parted))
            grown = self._store.put(request.tree_key, tree.to_json(parted_tree))
        return answers.split(self._store, request.clustering, ref_of(leaf), ref_of(grown))

    def _regroup(
        self, request: clusterer_pb2.RegroupCellsRequest, wanted: Wanted, checkpoint: Checkpoint
    ) -> clusterer_pb2.RegroupCellsResponse:
        names = (request.leaf_key, request.tree_key, request.confidence_key)
        stored = [self._store.stat(name) for name in names]
        if any(found is None for found in stored):
            before = self._clustered(request.clustering)
            made = regroup(before, self._features(request.clustering), request.locked_ids, wanted, checkpoint)
            contents = (write_array(made.leaf), tree.to_json(made.tree), write_array(made.confidence))
            stored = [self._store.put(name, content) for name, content in zip(names, contents, strict=True)]
        refs = [ref_of(found) for found in stored if found is not None]
        return answers.regrouped(self._store, request.clustering, *refs)

    def _assign(
        self, request: clusterer_pb2.AssignCellsRequest, checkpoint: Checkpoint
    ) -> clusterer_pb2.AssignCellsResponse:
        names = [getattr(request.keys, f"{name}_key") for name in CLUSTERING_ARTIFACTS]
        stored = [self._store.stat(name) for name in names]
        if any(found is None for found in stored):
            before, matrix = self._clustered(request.clustering), self._features(request.clustering)
            slide = self._vectors(request.slide)
            neighbours = core.Params(neighbour_count=request.neighbour_count).neighbours
            with threadpool_limits(1):
                rows = features.apply(slide, _scale(request.embedder), before.tree.fitted_projection(), neighbours)
            grown = add(before, matrix, rows, features.known(slide.vectors), checkpoint)
            contents = _contents(grown, np.concatenate([matrix, rows]))
            stored = [self._store.put(name, content) for name, content in zip(names, contents, strict=True)]
        refs = [ref_of(found) for found in stored if found is not None]
        clustering = clusterer_pb2.Clustering(**dict(zip(CLUSTERING_ARTIFACTS, refs, strict=True)))
        return answers.added(self._store, clustering, request.slide)

    def _grouped(
        self,
        request: clusterer_pb2.ClusterCellsRequest,
        made: features.Features,
        slides: Sequence[features.SlideVectors],
        params: core.Params,
        checkpoint: Checkpoint,
        report: Report,
    ) -> Clustered:
        if params.algorithm != IMPORTED:
            return _clustered(made, slides, params, checkpoint, report)
        if len(request.slides) != 1:
            raise InvalidArgument("clusters that came with slides are each slide's own: cluster several anew")
        (slide,) = request.slides
        cells = [key_of(shard.cells) for shard in shards_of(self._store, slide)]
        came = tables.came_with(self._store, key_of(slide.index), cells)
        return core.cluster_as_imported(made, came, params, checkpoint, report)

    def _clustered(self, clustering: clusterer_pb2.Clustering) -> Clustered:
        with of_artifact(clustering.confidence.key):
            confidence = np.asarray(read_array(self._store.get(*key_of(clustering.confidence))), np.uint8)
        with of_artifact(clustering.layout.key):
            layout = np.asarray(read_array(self._store.get(*key_of(clustering.layout))), np.float16)
        return Clustered(self._leaf(clustering), confidence, layout, self._tree(clustering))

    def _vectors(self, slide: artifact_pb2.SettledSlide) -> features.SlideVectors:
        vectors = [key_of(shard.vectors) for shard in shards_of(self._store, slide)]
        return tables.slide_vectors(self._store, key_of(slide.index), vectors)

    def _tree(self, clustering: clusterer_pb2.Clustering) -> tree.Tree:
        with of_artifact(clustering.tree.key):
            return tree.from_json(self._store.get(*key_of(clustering.tree)))

    def _leaf(self, clustering: clusterer_pb2.Clustering) -> Leaves:
        with of_artifact(clustering.leaf.key):
            return np.asarray(read_array(self._store.get(*key_of(clustering.leaf))), np.uint16)

    def _features(self, clustering: clusterer_pb2.Clustering) -> Halves:
        with of_artifact(clustering.features.key):
            return np.asarray(read_array(self._store.get(*key_of(clustering.features))), np.float16)


def _clustered(
    made: features.Features,
    slides: Sequence[features.SlideVectors],
    params: core.Params,
    checkpoint: Checkpoint,
    report: Report,
) -> Clustered:
    if params.algorithm:
        vectors = np.concatenate([slide.vectors for slide in slides])
        return core.cluster_as_published(made, vectors, params, checkpoint, report, umap_child.steps(params.algorithm))
    known = np.concatenate([features.known(slide.vectors) for slide in slides])
    return core.cluster(made, params, checkpoint, report, known)


def _laid_out(clustered: Clustered, matrix: Halves, params: core.Params, checkpoint: Checkpoint) -> Clustered:
    """By UMAP where that was asked for, and cells are enough."""
    if not params.layout or len(matrix) < FEWEST_FOR_UMAP:
        return clustered
    places = umap_child.umap(params.layout, np.asarray(matrix, np.float32), params.seed, checkpoint)
    return replace(clustered, layout=fitted(places))


def _mixed(
    clustered: Clustered, made: features.Features, slides: Sequence[features.SlideVectors], params: core.Params
) -> Clustered:
    """With how well the slides' cells mix, where there are several."""
    if len(slides) < 2:
        return clustered
    known = np.concatenate([features.known(slide.vectors) for slide in slides])
    counts = [len(slide.vectors) for slide in slides]
    with threadpool_limits(1):
        told = mixing(made.matrix[:, : made.own_count], known, counts, params.seed)
    return replace(clustered, tree=replace(clustered.tree, mixing=told))


def _contents(clustered: Clustered, matrix: Halves) -> tuple[bytes, ...]:
    """The bytes of CLUSTERING_ARTIFACTS."""
    return (
        write_array(clustered.leaf),
        tree.to_json(clustered.tree),
        write_array(matrix),
        write_array(clustered.confidence),
        write_array(clustered.layout),
    )


def _identity(message: clusterer_pb2.CellIdentity) -> settle.Identity:
    model = (message.model.name, message.model.revision)
    return settle.Identity(message.slide_digest, message.object_kind, model, message.mpp, message.slide_mpp)


def _scale(model: artifact_pb2.ModelRef) -> features.Scale:
    spec = resolve(model.name, model.revision, "embedder")
    return features.Scale(spec.columns, spec.location, spec.scale)
