"""What people take away: the labels of every cell, as GeoJSON for QuPath and as a table."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.background import BackgroundTask

from morula.common.room import telling_full
from morula.common.store import Store
from morula.gateway.contract import exported
from morula.gateway.exports.geojson import Classification, feature_collection, gzipped
from morula.gateway.exports.tables import NOISE_CLUSTER, clusters_of_rows
from morula.gateway.house import Here
from morula.gateway.label_schemas import LabelSet
from morula.gateway.labels.effective import NOT_SURE, SOURCES, Effective
from morula.gateway.labels.learning import Snapshot
from morula.gateway.uploads import REMEDY
from morula.gateway.views import ClusteringView

Confidence = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

GZIP = "application/gzip"
PARQUET = "application/vnd.apache.parquet"

router = APIRouter(prefix="/v1/labellings", tags=["exports"])


@router.get("/{labelling_id}/cells.geojson.gz", response_class=Response, responses=exported(GZIP))
async def export_geojson(labelling_id: str, here: Here, slide_id: str | None = None) -> Response:
    """Cells of a slide with their labels, as QuPath reads them."""
    snapshot, view, found = await here.labelling.effective(labelling_id)
    label_set = await here.labelling.label_set(snapshot.row["label_set_id"])
    slide = view.slide(slide_id)
    await asyncio.to_thread(lambda: slide.outlines)  # Gone or damaged is told before the first byte goes out.
    confidence = await asyncio.to_thread(_confidence, here.store, snapshot, view, found)
    cut = await here.labelling.learning.cut(view, snapshot.row["cluster_count"])
    clusters = clusters_of_rows(view, cut.node_of_leaf)
    names = {one.number: Classification(one.name, one.color) for one in label_set.classes}

    def describe(row: int) -> tuple[Classification | None, Mapping[str, float]]:
        known = not np.isnan(confidence[row])
        measurements = {"Confidence": round(float(confidence[row]), 3)} if known else {}
        if clusters[row] != NOISE_CLUSTER:
            measurements |= {"Cluster": int(clusters[row]), "Leaf": int(view.leaf[row])}
        return names.get(int(found.classes[row])), measurements

    chunks = gzipped(feature_collection(slide, describe))
    headers = {"Content-Disposition": 'attachment; filename="cells.geojson.gz"'}
    return StreamingResponse(chunks, media_type=GZIP, headers=headers)


@router.get("/{labelling_id}/labels.parquet", response_class=Response, responses=exported(PARQUET))
async def export_labels(labelling_id: str, here: Here) -> Response:
    """Label of every cell, where it comes from, and how sure it is: null where that is not known."""
    snapshot, view, found = await here.labelling.effective(labelling_id)
    label_set = await here.labelling.label_set(snapshot.row["label_set_id"])
    confidence = await asyncio.to_thread(_confidence, here.store, snapshot, view, found)
    path = await asyncio.to_thread(_write_labels, view, snapshot, found, label_set, confidence, here.settings.scratch)
    return FileResponse(
        path,
        media_type=PARQUET,
        filename="labels.parquet",
        background=BackgroundTask(path.unlink),
    )


def _write_labels(
    view: ClusteringView,
    snapshot: Snapshot,
    found: Effective,
    label_set: LabelSet,
    confidence: Confidence,
    scratch: Path | None,
) -> Path:
    names = {one.number: one.name for one in label_set.classes}
    numbers = np.where(found.classes == NOT_SURE, 0, found.classes)
    sources = [SOURCES[source] for source in found.sources.tolist()]
    for row in snapshot.labels.overrides:
        sources[row] = "override"
    table = pa.table(
        {
            "cell_id": pa.array(_cell_ids(view)),
            "class_number": pa.array(numbers),
            "class_name": pa.array([names.get(number) for number in numbers.tolist()], pa.string()),
            "source": pa.array(sources),
            "confidence": pa.array(confidence, from_pandas=True),
        }
    )
    folder = scratch or Path(tempfile.gettempdir())
    with telling_full(folder, "write the export", REMEDY):
        with tempfile.NamedTemporaryFile(prefix="morula-labels-", suffix=".parquet", dir=folder, delete=False) as sink:
            path = Path(sink.name)
        try:
            pq.write_table(table, path, compression="zstd")
        except BaseException:
            path.unlink()
            raise
    return path


def _cell_ids(view: ClusteringView) -> Iterator[str]:
    for slide in view.slides:
        for cell_id in slide.cell_ids(np.arange(len(slide.x_px))):
            yield str(uuid.UUID(bytes=cell_id))


def _confidence(store: Store, snapshot: Snapshot, view: ClusteringView, found: Effective) -> Confidence:
    """How sure each row's class is, NaN where nobody knows: the model's own confidence where its class stands, certain
    where a person gave the class, unknown for the name of a cluster and where there is no class."""
    confidence: Confidence = np.full(view.cell_count, np.nan, np.float32)
    spread = found.sources == SOURCES.index("model")
    if spread.any():
        ref = snapshot.learnt.answer.confidence_layer
        layer = np.frombuffer(store.get(ref.key, ref.sha256), np.uint8)
        confidence[spread] = layer[spread] / np.float32(255)
    said = found.sources == SOURCES.index("mark")
    confidence[said & (found.classes > 0) & (found.classes != NOT_SURE)] = 1.0
    return confidence
