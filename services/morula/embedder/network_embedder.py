"""Networks as embedders: what one says of the pictures of a cell, each as a vector of length one, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint
from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.embedder.crops import Boxes, Crops, Pictures, Windows
from morula.embedder.instances import RegionCells
from morula.networks import backbones
from morula.networks.backbone_runtimes import backbone
from morula.networks.crop_queue import CropQueue
from morula.networks.dtypes import Dtype
from morula.networks.network import Network, computing_in

PICTURE_PX = 224
CELLS_AT_ONCE = 128
"""Whose pictures lie in memory beside each other: two full batches of an accelerator, 19 MB."""

View = Callable[[RegionCells], Crops]


def box(cells: RegionCells) -> Crops:
    """Each cell's own box, whatever its size."""
    return Boxes(cells, PICTURE_PX)


def box_of(spec: ModelSpec) -> View:
    """The same, as large as a row's network is shown pictures."""
    side_px = spec.picture_px or PICTURE_PX
    return lambda cells: Boxes(cells, side_px)


@dataclass(frozen=True)
class NetworkEmbedder:
    """Shows a network each cell in one way or several."""

    network: Network
    queue: CropQueue
    views: Sequence[View]
    alone: View = box
    """How an image is shown that is one cell, all of it."""
    thread_count: int = 0

    def __call__(self, cells: RegionCells, checkpoint: Checkpoint, /) -> NDArray[np.float32]:
        shown = [view(cells) for view in self.views]
        rows = np.array_split(np.arange(cells.polygons.size), range(CELLS_AT_ONCE, cells.polygons.size, CELLS_AT_ONCE))
        return np.concatenate(
            [np.concatenate([self.vectors(crops(some), checkpoint) for crops in shown], axis=1) for some in rows]
        )

    def vectors(self, pictures: Pictures, checkpoint: Checkpoint) -> NDArray[np.float32]:
        """Of pictures, each of length one; NaN where a network says nothing but zeros."""
        checkpoint()
        said = self.queue.run(self.network, pictures, checkpoint, threads=self.thread_count).styles
        length = np.linalg.norm(said, axis=1, keepdims=True)
        return np.asarray(np.divide(said, length, out=np.full_like(said, np.nan), where=length > 0))

    def computing(self, dtype: Dtype, thread_count: int) -> NetworkEmbedder:
        """The same, as a request asks it to compute."""
        return replace(self, network=computing_in(self.network, dtype), thread_count=thread_count)


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> NetworkEmbedder:
    """The registry's row with its file, which is of the backbone of its family's name."""
    if len(files) != 1:
        raise ModelUnavailable(f"{spec.name}: an embedder is one file, not {len(files)}", model=spec.name)
    state = backbones.read(spec.family, files[0][1])
    network = backbone(spec.family, state, spec.name, queue.device, queue.runtime)
    return NetworkEmbedder(network, queue, views_of(spec))


def views_of(spec: ModelSpec) -> list[View]:
    """How a row says that cells are shown."""

    side_px = spec.picture_px or PICTURE_PX

    def window(cells: RegionCells) -> Crops:
        return Windows(cells, spec.window_um, side_px)

    def surroundings(cells: RegionCells) -> Crops:
        return Windows(cells, spec.context_um, side_px, fades=False)

    return [window if spec.window_um else box_of(spec), *([surroundings] if spec.context_um else [])]
