"""Clusterings as the gateway reads them: rows, centroids and outlines, opened once and kept for some time."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from morula.common.arrays import read_array, read_json
from morula.common.errors import NotFound, of_artifact
from morula.common.outlines import HOLES, decode_outline, read_outlines
from morula.common.records import FileState
from morula.common.shard_lists import shards_of
from morula.common.store import Store
from morula.common.tables import read_index, read_metadata, read_morphology
from morula.gateway.labels.facts import MEASURE_COLUMNS, Distribution, distribute
from morula.gateway.ledger import clusterings
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.records import Record
from morula.gateway.refs import from_json
from morula.v1.artifact_pb2 import SettledSlide
from morula.v1.clusterer_pb2 import Clustering

KEPT_COUNT = 8
INDEX_COLUMNS = ["shard", "row", "cell_id", "x_px", "y_px", "tile"]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Ring = list[tuple[float, float]]


class SlideRows:
    """Cells of one slide: a range of a clustering's rows."""

    def __init__(self, row: Mapping[str, Any], store: Store) -> None:
        self.slide_id: str = row["slide_id"]
        self.job_id: str = row["job_id"]
        self.digest: str = row["digest"]
        self.name: str = row["name"]
        self.mpp: float = row["slide_mpp"]
        self.row_start: int = row["row_start"]
        self.row_stop: int = row["row_stop"]
        self.settled = from_json(row["settled"], SettledSlide)
        self._store = store
        ref = self.settled.index
        with store.local_path(ref.key, ref.sha256) as path, of_artifact(ref.key):
            index = read_index(path, INDEX_COLUMNS)
        self.blocks: list[list[int]] = read_metadata(index)["blocks"]
        self.x_px: Floats = index["x_px"].to_numpy()
        self.y_px: Floats = index["y_px"].to_numpy()
        self.tile: npt.NDArray[np.int32] = index["tile"].to_numpy()
        self.shard: npt.NDArray[np.int32] = index["shard"].to_numpy()
        self.shard_row: npt.NDArray[np.int32] = index["row"].to_numpy()
        self._cell_ids = index["cell_id"]
        self._outlines: tuple[FileState, Any] | None = None

    def rows_of(self, cell_ids: Sequence[bytes]) -> list[int | None]:
        """The row in the clustering of each of these cells; None if the slide has no such cell."""
        wanted = pa.array(cell_ids, self._cell_ids.type)
        places = pc.index_in(wanted, value_set=self._cell_ids.combine_chunks()).to_pylist()
        return [None if place is None else self.row_start + place for place in places]

    def cell_ids(self, rows: npt.ArrayLike) -> list[bytes]:
        """Ids of cells, by rows of this slide."""
        ids: list[bytes] = self._cell_ids.take(np.asarray(rows, np.int64)).to_pylist()
        return ids

    @property
    def outlines(self) -> Any:
        """The table of outlines, memory-mapped; the mapping stays valid if the file is deleted.

        Its digest is checked on every access, because bytes may also be damaged while they are mapped.
        """
        ref = self.settled.outlines
        with self._store.local_path(ref.key, ref.sha256) as path, of_artifact(ref.key):
            state = FileState.of(path.stat())
            if self._outlines is None or self._outlines[0] != state:
                self._outlines = (state, read_outlines(path))
            return self._outlines[1]

    def rings(self, rows: npt.ArrayLike) -> list[Ring]:
        """Outlines in level-0 px, by rows of this slide."""
        found = self.outlines.take(np.asarray(rows, np.int64))
        columns = (found["outline"].to_pylist(), found["x_px"].to_pylist(), found["y_px"].to_pylist())
        return [_points(*one) for one in zip(*columns, strict=True)]

    def polygons(self, rows: npt.ArrayLike) -> list[list[Ring]]:
        """Outlines in level-0 px with their holes, by rows of this slide."""
        found = self.outlines.take(np.asarray(rows, np.int64))
        outlines = [[outline] for outline in found["outline"].to_pylist()]
        if HOLES.name in found.column_names:
            outlines = [
                rings + (holes or []) for rings, holes in zip(outlines, found[HOLES.name].to_pylist(), strict=True)
            ]
        places = zip(outlines, found["x_px"].to_pylist(), found["y_px"].to_pylist(), strict=True)
        return [[_points(ring, x, y) for ring in rings] for rings, x, y in places]

    def measures(self, names: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Columns of the cells' morphology in row order; NaN where a shard does not have one."""
        columns = {name: np.full(len(self.shard), np.nan, np.float32) for name in names}
        for number, shard in enumerate(shards_of(self._store, self.settled)):
            mine = np.flatnonzero(self.shard == number)
            ref = shard.morphology
            with self._store.local_path(ref.key, ref.sha256) as path, of_artifact(ref.key):
                table = read_morphology(path)
            for name in set(names) & set(table.column_names):
                columns[name][mine] = table[name].to_numpy()[self.shard_row[mine]]
        return columns


def _points(outline: Sequence[int], x_px: float, y_px: float) -> Ring:
    return [(x, y) for x, y in decode_outline(outline, x_px, y_px).tolist()]


def mixing_of(mixing: Mapping[str, Any] | None, position: int) -> float | None:
    """How well one slide mixes with the others, of what a clustering keeps."""
    return None if mixing is None else mixing["slides"][position].get("score")


@dataclass(frozen=True)
class Node:
    """A node of the tree."""

    id: int
    parent: int | None
    leaf: int | None
    cell_count: int
    representatives: Sequence[int]
    supported: bool


class ClusteringView:
    """A clustering opened for reading."""

    def __init__(self, row: Mapping[str, Any], slides: Sequence[Mapping[str, Any]], store: Store) -> None:
        self.id: str = row["id"]
        self.renewed_count: int = row["renewed_count"]
        self.project: str = row["project_id"]
        self.cell_count: int = row["cell_count"]
        self.cluster_count: int = row["cluster_count"]
        self.leaf_count: int = row["leaf_count"]
        self.structure_found: bool = row["structure_found"]
        self.mixing: Mapping[str, Any] | None = row["mixing"]
        self.artifacts = from_json(row["artifacts"], Clustering)
        self.slides = [SlideRows(slide, store) for slide in slides]
        leaf, grown = self.artifacts.leaf, self.artifacts.tree
        with of_artifact(leaf.key):
            self.leaf: npt.NDArray[np.uint16] = read_array(store.get(leaf.key, leaf.sha256))
        with of_artifact(grown.key):
            tree = read_json(store.get(grown.key, grown.sha256))
        self.nodes = {node["id"]: _node(node) for node in tree["nodes"]}

    @property
    def scope(self) -> str:
        """The scope in the keys of this clustering's artifacts."""
        return self.artifacts.leaf.key.split("/")[1]

    @cached_property
    def parents(self) -> dict[int, int | None]:
        """Parent of each node."""
        return {node.id: node.parent for node in self.nodes.values()}

    @cached_property
    def leaves_below(self) -> dict[int, set[int]]:
        """Leaves of each node."""
        below: dict[int, set[int]] = {node_id: set() for node_id in self.nodes}
        for node in self.nodes.values():
            above: int | None = node.id if node.leaf is not None else None
            while above is not None and node.leaf is not None:
                below[above].add(node.leaf)
                above = self.parents[above]
        return below

    def slide_of(self, row: int) -> SlideRows:
        """The slide that a row belongs to."""
        return next(slide for slide in self.slides if slide.row_start <= row < slide.row_stop)

    def slide(self, slide_id: str | None) -> SlideRows:
        """One of the clustering's slides; the only one needs no name."""
        if slide_id is None and len(self.slides) == 1:
            return self.slides[0]
        found = next((slide for slide in self.slides if slide.slide_id == slide_id), None)
        if found is None:
            raise NotFound("The clustering has no slide with this id.", slide_id=str(slide_id))
        return found

    def rows_in(self, leaves: Sequence[int]) -> Rows:
        """Rows of these leaves."""
        return np.flatnonzero(np.isin(self.leaf, np.array(leaves, np.uint16)))

    @cached_property
    def measures(self) -> dict[str, npt.NDArray[np.float32]]:
        """The measures of all rows that pages show to people."""
        parts = [slide.measures(MEASURE_COLUMNS) for slide in self.slides]
        return {name: np.concatenate([part[name] for part in parts]) for name in MEASURE_COLUMNS}

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """The distribution of each of these measures."""
        return distribute(self.measures)


class Views:
    """Opens clusterings and keeps the ones used last."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger = ledger
        self._store = store
        self._kept: OrderedDict[str, ClusteringView] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, clustering_id: str) -> ClusteringView:
        """The clustering, opened; NotFound even if it was open and has been deleted."""
        row = await self._ledger.read(clusterings.get_clustering, clustering_id)
        lock = self._locks.setdefault(clustering_id, asyncio.Lock())
        async with lock:
            view = self._kept.get(clustering_id)
            if view is None or view.renewed_count != row["renewed_count"]:
                view = await self._load(row["id"])
            self._kept[clustering_id] = view
            self._kept.move_to_end(clustering_id)
            while len(self._kept) > KEPT_COUNT:
                self._kept.popitem(last=False)
            return view

    async def _load(self, clustering_id: str) -> ClusteringView:
        row, slides = await self._ledger.read(_rows, clustering_id)
        return await asyncio.to_thread(ClusteringView, row, slides, self._store)


def _rows(tx: Connection, clustering_id: str) -> tuple[Record, list[Record]]:
    """The records of a clustering and its slides; in this order, so that the next access sees a renewal in between."""
    return clusterings.get_clustering(tx, clustering_id), clusterings.clustering_slides(tx, clustering_id)


def _node(stored: Mapping[str, Any]) -> Node:
    return Node(
        id=stored["id"],
        parent=stored["parent"],
        leaf=stored["leaf"],
        cell_count=stored["cell_count"],
        representatives=stored["representatives"],
        supported=stored["supported"],
    )
