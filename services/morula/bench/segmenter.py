"""The segmenter against the stock package, in one run: processor seconds of one thread, seconds of an accelerator.

Parts whose packages are not installed are left out, and named: a machine with an accelerator may have little else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from skimage.measure import find_contours
from threadpoolctl import threadpool_limits

from morula.bench import whole
from morula.bench.known_cells import CELLS, TILE_PX, Labels, flows_of, nuclei
from morula.bench.networks import need_networks
from morula.bench.report import Case, Report, against
from morula.common import imported
from morula.common.models import REGISTRY, ModelSpec
from morula.networks import shipped
from morula.segmenter.polygons import trace

ROUNDS = 5
# What a segmenter is made of on a machine without an accelerator.
_SERVICE = ("grpc", "imagecodecs", "openvino", "pyarrow", "structlog")


@dataclass(frozen=True)
class Part:
    """Figures that are taken together."""

    what: str
    needs: tuple[str, ...]
    """Packages, beyond those that networks and their flows need."""
    measure: Callable[[], list[Case]]
    threads: int | None = 1

    @property
    def missing(self) -> list[str]:
        return [name for name in self.needs if find_spec(name) is None]


def run() -> Report:
    """The best device there is; what is not of the network alone is measured on the processor in any case."""
    need_networks()
    parts = list(_parts())
    cases: list[Case] = []
    cv2.setNumThreads(1)
    for part in parts:
        if not part.missing:
            with threadpool_limits(limits=part.threads):
                cases += part.measure()
    left_out = tuple(f"{one.what}: {', '.join(one.missing)} not installed" for one in parts if one.missing)
    return Report("segmenter", cases, left_out)


def _parts() -> Iterator[Part]:
    from morula.networks.devices import best_device

    scale = whole.scale_of(best_device())
    labels = nuclei(TILE_PX, CELLS)
    flow, logits = flows_of(labels)
    yield Part("flows to masks", (), lambda: _post_processing(flow, logits))
    yield Part("outlines", (), lambda: _outlines(labels))
    yield Part("whole regions", (), lambda: whole.cases(scale))
    if scale.is_gpu:
        yield Part("flows to masks there", (), lambda: whole.on_gpu(scale, flow, logits))
    yield Part("the networks that ship, on a processor", _SERVICE, _shipped)
    data = Path(os.environ.get("MORULA_DATA", "../shared/data"))
    yield Part("a real slide", _SERVICE, lambda: _real_slide(data), threads=None)
    yield Part("memory", _SERVICE, _memory, threads=None)


def _networks() -> list[tuple[ModelSpec, Path]]:
    return [(row, dict(shipped.files(row))["network"]) for row in shipped.rows("segmenter")]


def _shipped() -> list[Case]:
    from morula.bench import unet

    return [case for row, path in _networks() for case in unet.cases(row, path)]


def _real_slide(data: Path) -> list[Case]:
    from morula.bench import unet

    return [case for row, path in _networks() for case in unet.real_slide(row, path, data)]


def _memory() -> list[Case]:
    from morula.bench import memory

    return [memory.case(row) for row in REGISTRY if row.task == "segmenter" and row.name != imported.MODEL]


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
