"""LabellerService: keys in, keys out, while a person waits; the work is in `learn` and `pages`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from morula.clusterer import tree
from morula.clusterer.arrays import Bytes, Halves, Leaves, Rows
from morula.clusterer.labeller import learn, logistic, pages, representatives
from morula.clusterer.labeller.cache import Cache
from morula.clusterer.labeller.learn import Board, Learnt
from morula.clusterer.labeller.names import Seen
from morula.clusterer.labeller.representatives import Examples, Near, Noise
from morula.common.compute import Slot
from morula.common.errors import ArtifactInvalid, InvalidArgument, of_artifact
from morula.common.formats import read_array, write_json
from morula.common.refs import key_of, ref_of
from morula.common.store import Store
from morula.v1 import artifact_pb2, clusterer_pb2, labeller_pb2, labeller_pb2_grpc

MAPPED_CLUSTERINGS = 4
LARGEST_CLASS = 250

_SPREADS = {
    "none": labeller_pb2.SPREAD_UNSPECIFIED,
    "model": labeller_pb2.SPREAD_MODEL,
    "clusters": labeller_pb2.SPREAD_CLUSTERS,
}
_REASONS = {
    "largest_cluster": labeller_pb2.PAGE_REASON_LARGEST_CLUSTER,
    "least_sure": labeller_pb2.PAGE_REASON_LEAST_SURE,
    "requested": labeller_pb2.PAGE_REASON_REQUESTED,
}


@dataclass(frozen=True)
class _Clustering:
    """A clustering's artifacts, features mapped and not read."""

    matrix: Halves
    leaf: Leaves
    tree: tree.Tree

    @cached_property
    def sketch(self) -> representatives.Sketch:
        drawn: representatives.Sketch = representatives.sketch(
            self.matrix, self.leaf, self.tree.leaf_count, self.tree.seed
        )
        return drawn


class LabellerServicer(labeller_pb2_grpc.LabellerServiceServicer):
    """Answers one call at a time on a slot of its own."""

    def __init__(self, store: Store, slot: Slot) -> None:
        self._store = store
        self._slot = slot
        self._cache: Cache[_Clustering] = Cache(MAPPED_CLUSTERINGS)

    async def CutTree(  # noqa: N802 - the contract's name
        self,
        request: labeller_pb2.CutTreeRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> labeller_pb2.CutTreeResponse:
        return await self._slot.run(lambda _: self._cut(request))

    async def LearnLabels(  # noqa: N802 - the contract's name
        self,
        request: labeller_pb2.LearnLabelsRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> labeller_pb2.LearnLabelsResponse:
        return await self._slot.run(lambda _: self._learn(request))

    async def NextPage(  # noqa: N802 - the contract's name
        self,
        request: labeller_pb2.NextPageRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> labeller_pb2.NextPageResponse:
        return await self._slot.run(lambda _: self._next_page(request))

    def _cut(self, request: labeller_pb2.CutTreeRequest) -> labeller_pb2.CutTreeResponse:
        if request.cluster_count < 0:
            raise InvalidArgument("cluster_count must not be negative")
        with self._held(request.clustering) as held:
            node_of_leaf = held.tree.node_of_leaf(request.cluster_count or held.tree.cluster_count)
            board = _board_of(held, node_of_leaf)
            shown = representatives.examples(board, held.sketch)
            noise = representatives.noise(board, held.sketch)
        nodes = sorted(map(held.tree.node, shown), key=lambda node: (-node.cell_count, node.id))
        return labeller_pb2.CutTreeResponse(
            node_of_leaf=node_of_leaf,
            clusters=[_summary(node, shown[node.id]) for node in nodes],
            noise=None if noise is None else _noise(noise),
        )

    def _learn(self, request: labeller_pb2.LearnLabelsRequest) -> labeller_pb2.LearnLabelsResponse:
        named = {name.node_id: name.class_number for name in request.names}
        _check_classes(named.values())
        with self._held(request.clustering) as held:
            board = _board_under(held, request.node_of_leaf)
            seen = _seen(request.seen, len(board.leaf))
            for node_id in named:
                board.tree.node(node_id)
            learnt = learn.learn(board, seen, named)
        response = labeller_pb2.LearnLabelsResponse(
            held_out=labeller_pb2.HeldOut(**vars(learnt.held_out)),
            spread=_SPREADS[learnt.spread],
            effective_names=[
                labeller_pb2.ClusterName(node_id=node, class_number=number) for node, number in learnt.names.items()
            ],
            sure_count=learnt.sure_count,
            class_counts=[
                labeller_pb2.ClassCount(class_number=number, cell_count=count)
                for number, count in learnt.class_counts.items()
            ],
        )
        self._store_layers(request, learnt, response)
        return response

    def _store_layers(
        self,
        request: labeller_pb2.LearnLabelsRequest,
        learnt: Learnt,
        response: labeller_pb2.LearnLabelsResponse,
    ) -> None:
        if learnt.model is None or learnt.classes is None or learnt.confidence is None:
            return
        model = write_json(logistic.as_json(learnt.model))
        response.model.CopyFrom(ref_of(self._store.put(request.model_key, model)))
        response.confidence_layer.CopyFrom(ref_of(self._store.put(request.confidence_key, learnt.confidence.tobytes())))
        response.class_layer.CopyFrom(ref_of(self._store.put(request.class_key, learnt.classes.tobytes())))

    def _next_page(self, request: labeller_pb2.NextPageRequest) -> labeller_pb2.NextPageResponse:
        if not 0 <= request.cell_count <= pages.PAGE_CELLS:
            raise InvalidArgument(f"a page has 1 to {pages.PAGE_CELLS} cells")
        wish = pages.Wish(
            cell_count=request.cell_count or pages.PAGE_CELLS,
            node_id=request.node_id,
            seed=request.seed,
            noise=request.noise,
        )
        if request.noise and request.node_id:
            raise InvalidArgument("cells in no cluster have no node_id")
        past = [(place.node_id, place.leaf) for place in request.past]
        with self._held(request.clustering) as held:
            board = _board_under(held, request.node_of_leaf)
            seen_rows = _rows(request.seen_rows, len(board.leaf))
            page = pages.next_page(board, self._layers(request, len(board.leaf)), seen_rows, past, wish)
            if page is None:
                return labeller_pb2.NextPageResponse()
            near = representatives.nearest(board, held.sketch, page.rows) if request.noise else np.zeros_like(page.rows)
        return _page(page, near)

    def _layers(self, request: labeller_pb2.NextPageRequest, row_count: int) -> pages.Layers | None:
        if not (request.class_layer.key and request.confidence_layer.key):
            return None
        return pages.Layers(
            self._layer(request.class_layer, row_count), self._layer(request.confidence_layer, row_count)
        )

    def _layer(self, ref: artifact_pb2.ObjectRef, row_count: int) -> Bytes:
        layer = np.frombuffer(self._store.get(*key_of(ref)), np.uint8)
        if len(layer) != row_count:
            raise ArtifactInvalid(f"{ref.key} has {len(layer)} rows, the clustering has {row_count}", key=ref.key)
        return layer

    @contextmanager
    def _held(self, clustering: clusterer_pb2.Clustering) -> Iterator[_Clustering]:
        refs = (clustering.features, clustering.leaf, clustering.tree)
        key = ("/".join(ref.key for ref in refs), "/".join(ref.sha256 for ref in refs))
        with self._cache.open(key, lambda: self._opened(clustering)) as held:
            yield held

    @contextmanager
    def _opened(self, clustering: clusterer_pb2.Clustering) -> Iterator[_Clustering]:
        with of_artifact(clustering.tree.key):
            grown = tree.from_json(self._store.get(*key_of(clustering.tree)))
        with of_artifact(clustering.leaf.key):
            leaf = read_array(self._store.get(*key_of(clustering.leaf)))
        with self._features(clustering.features) as matrix:
            if leaf.ndim != 1 or len(leaf) != len(matrix):
                raise ArtifactInvalid(f"{len(leaf)} leaves and {len(matrix)} features do not belong together")
            yield _Clustering(matrix, np.asarray(leaf, np.uint16), grown)

    @contextmanager
    def _features(self, ref: artifact_pb2.ObjectRef) -> Iterator[Halves]:
        with self._store.local_path(*key_of(ref)) as path, of_artifact(ref.key):
            matrix = read_array(path, mmap=True)
            if matrix.ndim != 2 or matrix.dtype != np.float16:
                raise ArtifactInvalid(f"{ref.key} holds {matrix.dtype} of shape {matrix.shape}, not features")
            yield matrix


def _board_of(held: _Clustering, node_of_leaf: Sequence[int]) -> Board:
    return Board(held.matrix, held.leaf, held.tree, np.asarray(node_of_leaf, np.int64))


def _board_under(held: _Clustering, node_of_leaf: Sequence[int]) -> Board:
    """The board under a cut that a request names."""
    if len(node_of_leaf) != held.tree.leaf_count:
        raise InvalidArgument(f"the cut names {len(node_of_leaf)} leaves, the tree has {held.tree.leaf_count}")
    for node_id in set(node_of_leaf):
        held.tree.node(node_id)
    return _board_of(held, node_of_leaf)


def _summary(node: tree.Node, shown: Examples) -> labeller_pb2.ClusterSummary:
    return labeller_pb2.ClusterSummary(
        node_id=node.id,
        cell_count=node.cell_count,
        representative_rows=node.representatives,
        supported=node.supported,
        borderline=[_near(cell) for cell in shown.borderline],
        outlying_rows=shown.outlying.tolist(),
    )


def _noise(noise: Noise) -> labeller_pb2.NoiseSummary:
    return labeller_pb2.NoiseSummary(cell_count=noise.cell_count, representatives=[_near(cell) for cell in noise.shown])


def _near(cell: Near) -> labeller_pb2.NearCell:
    return labeller_pb2.NearCell(row=cell.row, near_node_id=cell.node_id)


def _check_classes(numbers: Iterable[int]) -> None:
    if max(numbers, default=0) > LARGEST_CLASS:
        raise InvalidArgument(f"classes are numbered 1 to {LARGEST_CLASS}")


def _seen(cells: Sequence[labeller_pb2.SeenCell], row_count: int) -> Seen:
    rows = _rows([cell.row for cell in cells], row_count)
    if len(np.unique(rows)) != len(rows):
        raise InvalidArgument("a row was seen twice: only the last word counts")
    classes, groups, numbers, shown = (
        np.asarray([getattr(cell, name) for cell in cells], np.int64)
        for name in ("class_number", "group", "page", "shown_class_number")
    )
    _check_classes(classes.tolist())
    return Seen(rows, classes, groups, numbers, shown)


def _rows(rows: Sequence[int], row_count: int) -> Rows:
    found = np.asarray(rows, np.int64)
    if len(found) and not (found.min() >= 0 and found.max() < row_count):
        raise InvalidArgument(f"rows must lie in 0 to {row_count - 1}")
    return found


def _page(page: pages.Page, near: Rows) -> labeller_pb2.NextPageResponse:
    cells = [
        labeller_pb2.PageCell(
            row=int(row), class_number=int(number), confidence=float(confidence), near_node_id=int(node_id)
        )
        for row, number, confidence, node_id in zip(page.rows, page.classes, page.confidence, near, strict=True)
    ]
    place = labeller_pb2.PagePlace(node_id=page.place[0], leaf=page.place[1])
    return labeller_pb2.NextPageResponse(cells=cells, place=place, worth=page.worth, reason=_REASONS[page.reason])
