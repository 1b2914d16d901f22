"""What networks see of cells: backbones, of each cell's picture, and the segmenter's own, under each mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.common.models import NUCLEI, ModelSpec
from morula.embedder.crops import Crops
from morula.embedder.instances import RegionCells
from morula.embedder.network_embedder import NetworkEmbedder, View, views_of
from morula.networks.backbone_runtimes import backbone
from morula.networks.crop_queue import CropQueue
from morula.networks.files import State
from morula.networks.models import Models
from morula.onebox.failures import Failure
from morula.segmenter.backends import MODELS
from morula.segmenter.flows import FlowModel
from morula.segmenter.instances import Calibration, Wanted

CROPS_AT_ONCE = 128

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


def pictured(state: State, spec: ModelSpec, cells: Sequence[RegionCells], of_cells: Sequence[Rows]) -> Floats:
    """What a backbone says of these cells of each picture, shown as its row says."""
    queue = CropQueue("cpu")
    try:
        (view,) = views_of(spec)
        network = NetworkEmbedder(backbone(spec.family, state, spec.name, queue.device, queue.runtime), queue, [view])
        shown, said = _crops(view, cells, of_cells), []
        while some := list(islice(shown, CROPS_AT_ONCE)):
            said.append(network.vectors(np.stack(some), go_on))
        return np.concatenate(said)
    finally:
        queue.close()


def under_masks(cells: Sequence[RegionCells], calibrations: Sequence[Calibration]) -> list[NDArray[np.float16]]:
    """What the segmenter that ships sees of all cells of each picture."""
    models = Models("segmenter", MODELS)
    try:
        model = models[NUCLEI]
        if not isinstance(model, FlowModel):
            raise Failure(f"{NUCLEI} tells no features")
        return [_under(model, one, calibration) for one, calibration in zip(cells, calibrations, strict=True)]
    finally:
        models.close()


def _under(model: FlowModel, cells: RegionCells, calibration: Calibration) -> NDArray[np.float16]:
    seen = model.features_under(cells.region.pixels, cells.region.mpp, Wanted(calibration=calibration), cells.labels)
    if seen is None:
        raise Failure(f"{NUCLEI} tells no features")
    return seen


def _crops(view: View, cells: Sequence[RegionCells], of_cells: Sequence[Rows]) -> Iterator[NDArray[np.uint8]]:
    for one, rows in zip(cells, of_cells, strict=True):
        if len(rows):
            crops: Crops = view(one)
            yield from crops(rows)
