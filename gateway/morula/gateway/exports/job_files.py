"""All files that a job leaves for people, and the digest that tells whether two runs had the same result."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from morula.common import models
from morula.common.arrays import read_array, write_json
from morula.common.errors import of_artifact
from morula.common.hashing import sha256_of
from morula.common.keys import STAGE_REVISIONS
from morula.common.store import Store, put_exactly
from morula.gateway.exports.formats import Format, streamed
from morula.gateway.exports.geojson import Classification, feature_collection, gzipped
from morula.gateway.exports.tables import (
    NOISE_CLUSTER,
    clusters_of_rows,
    write_assignments,
    write_empty_cells,
    write_job_cells,
    write_job_tiles,
)
from morula.gateway.labels.learning import TreeCut
from morula.gateway.ledger.label_sets import COLOURS
from morula.gateway.pipeline.keys import table_key
from morula.gateway.pipeline.params import PIPELINE_REVISION, Params
from morula.gateway.views import ClusteringView, mixing_of
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide

FileRecord = dict[str, Any]
NOTICE = "For research and education only, not for diagnosis."


@dataclass(frozen=True)
class Source:
    """The data that the files are written from."""

    store: Store
    project: str
    scope: str
    params: Params
    behind: Sequence[Params]
    """Of all jobs that the results come from."""
    kind: str
    slide: Mapping[str, Any] | None
    plan: ObjectRef | None
    tiles: Sequence[ObjectRef]
    settled: SettledSlide | None
    view: ClusteringView | None
    cut: TreeCut | None

    @property
    def node_of_leaf(self) -> Sequence[int]:
        return self.cut.node_of_leaf if self.cut is not None else []

    def confidence(self, view: ClusteringView) -> np.ndarray[Any, Any]:
        """How sure each cell is in its leaf, 255 for certain."""
        ref = view.artifacts.confidence
        with of_artifact(ref.key):
            return read_array(self.store.get(ref.key, ref.sha256))


@dataclass(frozen=True)
class Written:
    """A job's files in a folder: their records, their paths, and the digest of the result."""

    rows: Sequence[FileRecord]
    paths: Mapping[str, Path]
    result_digest: str


def put_files(store: Store, written: Written) -> None:
    """Put the files into the store."""
    for row in written.rows:
        put_exactly(store, row["key"], written.paths[row["name"]], row["sha256"])


def _has_slide(source: Source) -> bool:
    return source.plan is not None


def _write_tiles(source: Source, path: Path) -> None:
    if source.plan is not None:
        write_job_tiles(source.store, source.plan, source.tiles, path)


def _write_cells(source: Source, path: Path) -> None:
    if source.view is None or source.settled is None:
        write_empty_cells(path)
    else:
        write_job_cells(source.store, source.settled, source.view.slides[0], path)


def _write_assignments(source: Source, path: Path) -> None:
    view = source.view
    confidence = source.confidence(view) if view is not None else None
    write_assignments(view, source.node_of_leaf, confidence, path)


def _geojson(source: Source) -> Iterator[bytes]:
    view, nodes = source.view, source.node_of_leaf
    if view is None:
        return gzipped([b'{"type":"FeatureCollection","features":[]}\n'])
    clusters = clusters_of_rows(view, nodes)
    colours = {node: COLOURS[n % len(COLOURS)] for n, node in enumerate(sorted(set(nodes)))}
    confidence = source.confidence(view)

    def describe(row: int) -> tuple[Classification | None, Mapping[str, float]]:
        node = int(clusters[row])
        named = Classification(f"Cluster {node}", colours[node]) if node != NOISE_CLUSTER else None
        return named, {"Cluster confidence": round(float(confidence[row]) / 255, 3)}

    return gzipped(feature_collection(view.slides[0], describe))


def _write_clusters(source: Source, path: Path) -> None:
    path.write_bytes(write_json(_clusters(source)))


def _clusters(source: Source) -> dict[str, Any]:
    view, cut = source.view, source.cut
    if view is None or cut is None:
        return {"clusters": [], "noise_count": 0, "cell_count": 0, "structure_found": False}
    clusters = [
        {"cluster_id": cluster.node_id, "cell_count": cluster.cell_count, "supported": cluster.supported}
        for cluster in cut.clusters
    ]
    noise = int(np.count_nonzero(clusters_of_rows(view, cut.node_of_leaf) == NOISE_CLUSTER))
    found = {"structure_found": view.structure_found, "node_of_leaf": list(cut.node_of_leaf)}
    told = {"clusters": clusters, "noise_count": noise, "cell_count": view.cell_count, **found, "slides": _slides(view)}
    mixing = {name: view.mixing[name] for name in ("score", "low", "high")} if view.mixing else None
    return told | {"mixing": mixing}


def _slides(view: ClusteringView) -> list[dict[str, Any]]:
    """Whose rows are whose: a cohort's are its slides' rows, slide after slide."""
    return [
        {
            "name": slide.name,
            "slide_digest": slide.digest,
            "row_start": slide.row_start,
            "row_stop": slide.row_stop,
            "mixing": mixing_of(view.mixing, position),
        }
        for position, slide in enumerate(view.slides)
    ]


TILES = Format("tiles.parquet", "Every tile of the grid with its measures and its verdict.", _write_tiles, _has_slide)
JOB_FILES: tuple[Format[Source], ...] = (
    TILES,
    Format("cells.parquet", "Every cell with its outline and its shape, as GeoParquet.", _write_cells, _has_slide),
    streamed("cells.geojson.gz", "Every cell with its cluster, as QuPath reads them.", _geojson, _has_slide),
    Format("assignments.parquet", "Cluster and leaf of every cell.", _write_assignments),
    Format("clusters.json", "The clusters, largest first.", _write_clusters),
)
"""The files of a job in this order; the manifest comes last."""


def write_files(source: Source, folder: Path) -> Written:
    """Make all files in a folder."""
    files, paths = [], {}
    for each in JOB_FILES:
        if each.is_for(source):
            paths[each.name] = folder / each.name
            each.write(source, paths[each.name])
            files.append(_row(source, paths[each.name]))
    result_digest = _result_digest(source, paths.get(TILES.name))
    paths["manifest.json"] = folder / "manifest.json"
    paths["manifest.json"].write_bytes(write_json(_manifest(source, files, result_digest)))
    return Written([*files, _row(source, paths["manifest.json"])], paths, result_digest)


def _row(source: Source, path: Path) -> FileRecord:
    # The key contains the file's digest, because another version of a library may write other bytes.
    sha256 = sha256_of(path)
    key = table_key(source.project, source.scope, path.name, [sha256])
    return {"name": path.name, "key": key, "sha256": sha256, "size_bytes": path.stat().st_size}


def _result_digest(source: Source, tiles: Path | None) -> str:
    """Digest of the tiles' verdicts and the cells' ids and leaves: no floats and no times, so that equal runs agree."""
    result = hashlib.sha256()
    if tiles is not None:
        judged = pq.read_table(tiles, columns=["tile", "verdict"])
        verdicts = judged["verdict"].cast(pa.string()).to_pylist()
        for tile, verdict in zip(judged["tile"].to_pylist(), verdicts, strict=True):
            result.update(f"{tile} {verdict}\n".encode())
    if source.view is not None:
        for slide in source.view.slides:
            ids = slide.cell_ids(np.arange(len(slide.x_px)))
            leaves = source.view.leaf[slide.row_start : slide.row_stop].tolist()
            for cell_id, leaf in sorted(zip(ids, leaves, strict=True)):
                result.update(cell_id + int(leaf).to_bytes(2, "little"))
    return result.hexdigest()


def _manifest(source: Source, files: Sequence[FileRecord], result_digest: str) -> dict[str, Any]:
    used = {
        (getattr(params, task), task, getattr(params, f"{task}_revision"))
        for params in source.behind
        for task in ("segmenter", "embedder")
    }
    rows = [
        {"name": spec.name, "task": spec.task, "revision": spec.revision, **asdict(spec.description)}
        for spec in models.rows()
        if (spec.name, spec.task, spec.revision) in used
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
        "files": [{name: file[name] for name in ("name", "sha256", "size_bytes")} for file in files],
        "result_digest": result_digest,
    }
