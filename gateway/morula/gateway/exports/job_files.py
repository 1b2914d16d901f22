"""All files that a job leaves for people, and the digest that says whether two runs came to the same."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from morula.common import models
from morula.common.arrays import read_array, write_json
from morula.common.errors import of_artifact
from morula.common.keys import STAGE_REVISIONS
from morula.common.store import Store, put_exactly
from morula.gateway.exports.geojson import Classification, feature_collection, gzipped
from morula.gateway.exports.tables import (
    NOISE_CLUSTER,
    clusters_of_rows,
    write_assignments,
    write_empty_cells,
    write_job_cells,
    write_job_tiles,
)
from morula.gateway.labels.learning import Cut
from morula.gateway.ledger.label_sets import COLOURS
from morula.gateway.pipeline.keys import table_key
from morula.gateway.pipeline.params import PIPELINE_REVISION, Params
from morula.gateway.views import ClusteringView
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide

FileRow = dict[str, Any]
NOTICE = "For research and education only, not for diagnosis."


@dataclass(frozen=True)
class Source:
    """What the files are made of."""

    project: str
    scope: str
    params: Params
    kind: str
    slide: Mapping[str, Any] | None
    plan: ObjectRef | None
    tiles: Sequence[ObjectRef]
    settled: SettledSlide | None
    view: ClusteringView | None
    cut: Cut | None


@dataclass(frozen=True)
class Written:
    """A job's files in a folder: their rows, where each lies, and the digest of the result."""

    rows: Sequence[FileRow]
    paths: Mapping[str, Path]
    result_digest: str


def write_files(store: Store, source: Source, folder: Path) -> Written:
    """Make all files in a folder."""
    return _Writer(store, source, folder).run()


def put_files(store: Store, written: Written) -> None:
    """Put the files into the store."""
    for row in written.rows:
        put_exactly(store, row["key"], written.paths[row["name"]], row["sha256"])


class _Writer:
    def __init__(self, store: Store, source: Source, folder: Path) -> None:
        self._store = store
        self._source = source
        self._folder = folder
        self._files: list[FileRow] = []
        self._paths: dict[str, Path] = {}
        self._digest = hashlib.sha256()
        self._node_of_leaf = source.cut.node_of_leaf if source.cut is not None else []

    def run(self) -> Written:
        source = self._source
        if source.plan is not None:
            plan = source.plan
            self._add("tiles.parquet", lambda path: self._write_tiles(plan, path))
            self._add("cells.parquet", self._write_cells)
            self._add("cells.geojson.gz", self._write_geojson)
        self._add("assignments.parquet", self._write_assignments)
        self._add("clusters.json", lambda path: path.write_bytes(write_json(self._clusters())))
        self._add_leaves()
        result_digest = self._digest.hexdigest()
        self._add("manifest.json", lambda path: path.write_bytes(write_json(self._manifest(result_digest))))
        return Written(self._files, self._paths, result_digest)

    def _add(self, name: str, write: Callable[[Path], object]) -> None:
        path = self._folder / name
        write(path)
        # The key holds the bytes' digest: what a library of another version writes differently lies elsewhere.
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        key = table_key(self._source.project, self._source.scope, name, [sha256])
        self._files.append({"name": name, "key": key, "sha256": sha256, "size_bytes": path.stat().st_size})
        self._paths[name] = path

    def _write_tiles(self, plan: ObjectRef, path: Path) -> None:
        tiles = write_job_tiles(self._store, plan, self._source.tiles, path)
        verdicts = tiles["verdict"].cast(pa.string()).to_pylist()
        for tile, verdict in zip(tiles["tile"].to_pylist(), verdicts, strict=True):
            self._digest.update(f"{tile} {verdict}\n".encode())

    def _write_cells(self, path: Path) -> None:
        if self._source.view is None or self._source.settled is None:
            write_empty_cells(path)
        else:
            write_job_cells(self._store, self._source.settled, self._source.view.slides[0], path)

    def _write_geojson(self, path: Path) -> None:
        view = self._source.view
        chunks = [b'{"type":"FeatureCollection","features":[]}\n']
        with path.open("wb") as sink:
            for chunk in gzipped(chunks if view is None else self._features(view)):
                sink.write(chunk)

    def _features(self, view: ClusteringView) -> Any:
        clusters = clusters_of_rows(view, self._node_of_leaf)
        colours = {node: COLOURS[n % len(COLOURS)] for n, node in enumerate(sorted(set(self._node_of_leaf)))}
        confidence = self._confidence(view)

        def describe(row: int) -> tuple[Classification | None, Mapping[str, float]]:
            node = int(clusters[row])
            named = Classification(f"Cluster {node}", colours[node]) if node != NOISE_CLUSTER else None
            return named, {"Cluster confidence": round(float(confidence[row]) / 255, 3)}

        return feature_collection(view.slides[0], describe)

    def _write_assignments(self, path: Path) -> None:
        view = self._source.view
        confidence = self._confidence(view) if view is not None else None
        write_assignments(view, self._node_of_leaf, confidence, path)

    def _confidence(self, view: ClusteringView) -> np.ndarray[Any, Any]:
        ref = view.artifacts.confidence
        with of_artifact(ref.key):
            return read_array(self._store.get(ref.key, ref.sha256))

    def _add_leaves(self) -> None:
        """Cells by id with their leaves: no floats and no times, so that two runs of the same agree."""
        view = self._source.view
        if view is None:
            return
        for slide in view.slides:
            ids = slide.cell_ids(np.arange(len(slide.x_px)))
            leaves = view.leaf[slide.row_start : slide.row_stop].tolist()
            for cell_id, leaf in sorted(zip(ids, leaves, strict=True)):
                self._digest.update(cell_id + int(leaf).to_bytes(2, "little"))

    def _clusters(self) -> dict[str, Any]:
        view, cut = self._source.view, self._source.cut
        if view is None or cut is None:
            return {"clusters": [], "noise_count": 0, "cell_count": 0, "structure_found": False}
        clusters = [
            {"cluster_id": one["node_id"], "cell_count": one["cell_count"], "supported": one["supported"]}
            for one in cut.clusters
        ]
        noise = int(np.count_nonzero(clusters_of_rows(view, cut.node_of_leaf) == NOISE_CLUSTER))
        found = {"structure_found": view.structure_found, "node_of_leaf": list(cut.node_of_leaf)}
        return {"clusters": clusters, "noise_count": noise, "cell_count": view.cell_count, **found}

    def _manifest(self, result_digest: str) -> dict[str, Any]:
        source = self._source
        chosen = {(source.params.segmenter, "segmenter"), (source.params.embedder, "embedder")}
        rows = [
            {"name": spec.name, "task": spec.task, "revision": spec.revision, "licence": spec.licence}
            | {"trained_on": spec.trained_on}
            for spec in models.rows()
            if (spec.name, spec.task) in chosen
        ]
        return {
            "notice": NOTICE,
            "morula": version("morula"),
            "pipeline_revision": PIPELINE_REVISION,
            "stage_revisions": STAGE_REVISIONS,
            "kind": source.kind,
            "slide": dict(source.slide) if source.slide is not None else None,
            "params": source.params.to_json(),
            "models": rows,
            "files": [{name: file[name] for name in ("name", "sha256", "size_bytes")} for file in self._files],
            "result_digest": result_digest,
        }
