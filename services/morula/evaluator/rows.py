"""The cells of a clustering as the store has them, read as far as an evaluation needs them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from morula.common.errors import ArtifactInvalid, of_artifact
from morula.common.formats import (
    NOISE_LEAF,
    decode_outlines,
    read_array,
    read_index,
    read_metadata,
    read_morphology,
    read_outlines,
)
from morula.common.refs import key_of
from morula.common.shard_lists import shards_of
from morula.common.store import Store
from morula.evaluator.cells import IN_NONE, Floats, Ints
from morula.evaluator.matching import Slide
from morula.v1.artifact_pb2 import ObjectRef
from morula.v1.evaluator_pb2 import EvaluateClusteringRequest, EvaluatedSlide

INDEX_COLUMNS = ["shard", "row", "cell_id", "x_px", "y_px", "tile"]


@dataclass(frozen=True)
class SlideRows:
    """The cells of one slide: a range of the clustering's rows."""

    message: EvaluatedSlide
    index: pa.Table
    start: int
    store: Store

    @classmethod
    def read(cls, store: Store, message: EvaluatedSlide, start: int) -> SlideRows:
        ref = message.settled.index
        with store.local_path(*key_of(ref)) as path, of_artifact(ref.key):
            return cls(message, read_index(path, INDEX_COLUMNS), start, store)

    def __len__(self) -> int:
        return int(self.index.num_rows)

    def column(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self.index[name].to_numpy()
        return found

    @property
    def place(self) -> Slide:
        """Where the cells lie."""
        mpp = float(read_metadata(self.index)["slide_mpp"])
        return Slide(self.column("x_px"), self.column("y_px"), mpp, self._outlines)

    def _outlines(self, rows: Ints) -> NDArray[Any]:
        ref = self.message.settled.outlines
        with self.store.local_path(*key_of(ref)) as path, of_artifact(ref.key):
            found = read_outlines(path).take(rows).combine_chunks()
        x_px, y_px = (found[name].to_numpy() for name in ("x_px", "y_px"))
        vertices, ring = decode_outlines(pa.concat_arrays(found["outline"].chunks), x_px, y_px)
        polygons: NDArray[Any] = shapely.polygons(shapely.linearrings(vertices, indices=ring))
        crossed = ~shapely.is_valid(polygons)
        polygons[crossed] = shapely.make_valid(polygons[crossed])
        return polygons

    def measures(self, rows: Ints) -> tuple[list[str], Floats]:
        """What every shard measured of these of the slide's cells."""
        shard, row = self.column("shard")[rows], self.column("row")[rows]
        tables: dict[int, pa.Table] = {}
        for number, ref in enumerate(shards_of(self.store, self.message.settled)):
            if (shard == number).any():
                with self.store.local_path(*key_of(ref.morphology)) as path, of_artifact(ref.morphology.key):
                    tables[number] = read_morphology(path)
        names = sorted(set.intersection(*(set(table.column_names) for table in tables.values()))) if tables else []
        found = np.full((len(rows), len(names)), np.nan, np.float32)
        for number, table in tables.items():
            mine = np.flatnonzero(shard == number)
            found[mine] = np.column_stack([table[name].to_numpy()[row[mine]] for name in names])
        return names, found


@dataclass(frozen=True)
class Rows:
    """All cells of a clustering, slide after slide."""

    request: EvaluateClusteringRequest
    slides: Sequence[SlideRows]
    store: Store

    @classmethod
    def read(cls, store: Store, request: EvaluateClusteringRequest) -> Rows:
        slides: list[SlideRows] = []
        for message in request.slides:
            slides.append(SlideRows.read(store, message, slides[-1].start + len(slides[-1]) if slides else 0))
        return cls(request, slides, store)

    def __len__(self) -> int:
        return sum(map(len, self.slides))

    @cached_property
    def slide(self) -> Ints:
        """Number of each row's slide."""
        return np.repeat(np.arange(len(self.slides)), [len(slide) for slide in self.slides])

    @property
    def ids(self) -> pa.Array:
        """The id of each row, as bytes."""
        chunks = [chunk for slide in self.slides for chunk in slide.index["cell_id"].chunks]
        return pa.concat_arrays(chunks) if chunks else pa.array([], pa.binary(16))

    @property
    def cell_ids(self) -> pa.Array:
        """The id of each row, in words."""
        return pa.array([str(uuid.UUID(bytes=one)) for one in self.ids.to_pylist()], pa.string())

    @property
    def tile(self) -> Ints:
        return np.concatenate([slide.column("tile") for slide in self.slides])

    @property
    def cluster(self) -> Ints:
        """The cluster of each row, or the class where labels are measured."""
        if self.request.HasField("labels"):
            return self._array(self.request.labels.classes).astype(np.int64)
        leaf = self._array(self.request.clustering.leaf)
        known = leaf != NOISE_LEAF
        nodes = np.array(self.request.node_of_leaf, np.int64)
        if known.any() and leaf[known].max() >= len(nodes):
            raise ArtifactInvalid("the cut does not speak of every leaf", key=self.request.clustering.leaf.key)
        cluster = np.full(len(leaf), IN_NONE, np.int64)
        cluster[known] = nodes[leaf[known]]
        return cluster

    @property
    def confidence(self) -> Floats | None:
        """How sure each row's cluster is, 0 to 1."""
        if self.request.HasField("labels") or not self.request.clustering.HasField("confidence"):
            return None
        return self._array(self.request.clustering.confidence) / 255.0

    def features(self, rows: Ints) -> Floats:
        """What was clustered, of these rows."""
        return self._array(self.request.clustering.features, rows).astype(np.float64)

    def measures(self, rows: Ints) -> Floats | None:
        """What is measured of every one of these rows; None where that is nothing."""
        parts = [(mine, *slide.measures(rows[mine] - slide.start)) for slide, mine in self._by_slide(rows) if len(mine)]
        names = sorted(set.intersection(*(set(part[1]) for part in parts)))
        found = np.full((len(rows), len(names)), np.nan, np.float64)
        for mine, columns, table in parts:
            found[mine] = table[:, [columns.index(name) for name in names]]
        found = found[:, np.isfinite(found).all(axis=0)]
        return found if found.shape[1] else None

    def _by_slide(self, rows: Ints) -> Iterator[tuple[SlideRows, Ints]]:
        for number, slide in enumerate(self.slides):
            yield slide, np.flatnonzero(self.slide[rows] == number)

    def _array(self, ref: ObjectRef, rows: Ints | None = None) -> NDArray[Any]:
        with self.store.local_path(*key_of(ref)) as path, of_artifact(ref.key):
            found = read_array(path, mmap=True)
            if len(found) != len(self):
                raise ArtifactInvalid(f"{ref.key} has {len(found):,} rows, the slides {len(self):,}", key=ref.key)
            return np.array(found if rows is None else found[rows])
