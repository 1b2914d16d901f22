"""What files with labels are written from."""

from dataclasses import dataclass

import numpy as np

from morula.common.store import Store
from morula.gateway.label_schemas import LabelSet
from morula.gateway.labels.effective import Effective
from morula.gateway.labels.learning import Snapshot, TreeCut
from morula.gateway.views import ClusteringView, SlideRows
from morula.v1.artifact_pb2 import ObjectRef

Confidence = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class Labelled:
    """The effective label of every cell of a clustering."""

    view: ClusteringView
    snapshot: Snapshot
    label_set: LabelSet
    cut: TreeCut
    effective: Effective
    confidence: Confidence
    """The confidence of each row; NaN if it is not known."""
    cluster_confidence: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    """How sure each row is in its cluster, 255 for certain."""
    store: Store


@dataclass(frozen=True)
class LabelledSlide(Labelled):
    """The same, with the one slide whose cells are exported."""

    slide: SlideRows
    tiles: ObjectRef
    """The table of tiles that the slide's job left."""
