"""The segmenter against the stock package, in one run: processor seconds of one thread, seconds of an accelerator."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from skimage.measure import find_contours
from threadpoolctl import threadpool_limits

from morula.bench import memory, unet, whole
from morula.bench.known_cells import CELLS, TILE_PX, Labels, flows_of, nuclei
from morula.bench.networks import need_networks
from morula.bench.report import Case, Report, against
from morula.common.models import REGISTRY
from morula.networks import shipped
from morula.segmenter.polygons import trace

ROUNDS = 5


def run() -> Report:
    """The best device there is; what is not of the network alone is measured on the processor in any case."""
    need_networks()
    from morula.networks.devices import best_device

    scale = whole.scale_of(best_device())
    with threadpool_limits(limits=1):
        cv2.setNumThreads(1)
        labels = nuclei(TILE_PX, CELLS)
        flow, logits = flows_of(labels)
        cases = [*_post_processing(flow, logits), *_outlines(labels), *whole.cases(scale)]
        cases += whole.on_gpu(scale, flow, logits) if scale.is_gpu else []
        networks = [(row, dict(shipped.files(row))["network"]) for row in shipped.rows("segmenter")]
        cases += [case for row, path in networks for case in unet.cases(row, path)]
    data = Path(os.environ.get("MORULA_DATA", "../shared/data"))
    cases += [case for row, path in networks for case in unet.real_slide(row, path, data)]
    cases += [memory.case(row) for row in REGISTRY if row.task == "segmenter"]
    return Report("segmenter", cases)


def _post_processing(flow: NDArray[np.float32], logits: NDArray[np.float32]) -> list[Case]:
    from morula.segmenter.dynamics import DynamicsParams, find_instances
    from morula.segmenter.measured import best_seconds, stock_masks

    theirs = best_seconds(lambda: stock_masks(flow, logits, "cpu"), time.process_time, ROUNDS)
    ours = best_seconds(lambda: find_instances(flow, logits, DynamicsParams()), time.process_time, ROUNDS)
    return against("flows to masks, 512 px", theirs, ours, "CPU-s", ">=5")


def _outlines(labels: Labels) -> list[Case]:
    from morula.segmenter.measured import best_seconds

    theirs = best_seconds(lambda: per_label(labels), time.process_time, 2)
    ours = best_seconds(lambda: shapely.bounds(trace(labels)), time.process_time, ROUNDS)
    return against("masks to boxes and polygons, 512 px", theirs, ours, "CPU-s", ">=40")


def per_label(labels: Labels) -> list[tuple[NDArray[Any], list[NDArray[Any]]]]:
    """The plain way: the whole image is looked through once per cell, for its box and again for its contour."""
    contours = []
    for number in range(1, int(labels.max()) + 1):
        places = np.argwhere(labels == number)
        box = np.concatenate([places.min(axis=0), places.max(axis=0)])
        contours.append((box, find_contours((labels == number).astype(np.uint8), 0.5)))  # type: ignore[no-untyped-call]
    return contours
