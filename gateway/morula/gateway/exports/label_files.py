"""All files in which labels are exported."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from morula.common.store import Store
from morula.gateway.exports.formats import Format, streamed
from morula.gateway.exports.geojson import Classification, feature_collection, gzipped
from morula.gateway.exports.label_material import Confidence, Labelled, LabelledSlide
from morula.gateway.exports.published import write_run
from morula.gateway.exports.tables import NOISE_CLUSTER, clusters_of_rows
from morula.gateway.labels.effective import NOT_SURE, SOURCES, Effective
from morula.gateway.labels.learning import Snapshot
from morula.gateway.views import ClusteringView


def _geojson(labelled: LabelledSlide) -> Iterator[bytes]:
    view, effective, confidence = labelled.view, labelled.effective, labelled.confidence
    clusters = clusters_of_rows(view, labelled.cut.node_of_leaf)
    names = {one.number: Classification(one.name, one.color) for one in labelled.label_set.classes}

    def describe(row: int) -> tuple[Classification | None, Mapping[str, float]]:
        known = not np.isnan(confidence[row])
        measurements = {"Confidence": round(float(confidence[row]), 3)} if known else {}
        if clusters[row] != NOISE_CLUSTER:
            measurements |= {"Cluster": int(clusters[row]), "Leaf": int(view.leaf[row])}
        return names.get(int(effective.classes[row])), measurements

    return gzipped(feature_collection(labelled.slide, describe))


def _write_labels(labelled: Labelled, path: Path) -> None:
    effective = labelled.effective
    names = {one.number: one.name for one in labelled.label_set.classes}
    numbers = np.where(effective.classes == NOT_SURE, 0, effective.classes)
    sources = [SOURCES[source] for source in effective.sources.tolist()]
    for row in labelled.snapshot.labels.overrides:
        sources[row] = "override"
    table = pa.table(
        {
            "cell_id": pa.array(_cell_ids(labelled.view)),
            "class_number": pa.array(numbers),
            "class_name": pa.array([names.get(number) for number in numbers.tolist()], pa.string()),
            "source": pa.array(sources),
            "confidence": pa.array(labelled.confidence, from_pandas=True),
        }
    )
    pq.write_table(table, path, compression="zstd")


def _cell_ids(view: ClusteringView) -> Iterator[str]:
    for slide in view.slides:
        for cell_id in slide.cell_ids(np.arange(len(slide.x_px))):
            yield str(uuid.UUID(bytes=cell_id))


def confidence_of(store: Store, snapshot: Snapshot, view: ClusteringView, effective: Effective) -> Confidence:
    """Confidence in each row's class: the model's own for its classes, 1 for a class that a person gave, and NaN for
    the name of a cluster and where there is no class."""
    confidence: Confidence = np.full(view.cell_count, np.nan, np.float32)
    spread = effective.sources == SOURCES.index("model")
    if spread.any():
        ref = snapshot.learnt.answer.confidence_layer
        layer = np.frombuffer(store.get(ref.key, ref.sha256), np.uint8)
        confidence[spread] = layer[spread] / np.float32(255)
    marked = effective.sources == SOURCES.index("mark")
    confidence[marked & (effective.classes > 0) & (effective.classes != NOT_SURE)] = 1.0
    return confidence


SLIDE_LABEL_FILES: tuple[Format[LabelledSlide], ...] = (
    streamed("cells.geojson.gz", "Cells of a slide with their labels, as QuPath reads them.", _geojson),
    Format(
        "published.zip",
        "A slide's masks, boxes, clusters, classes and outlines as files of the published system.",
        write_run,
    ),
)
LABEL_FILES: tuple[Format[Labelled], ...] = (
    Format(
        "labels.parquet",
        "Label of every cell, where it comes from, and how sure it is: null where that is not known.",
        _write_labels,
    ),
)
