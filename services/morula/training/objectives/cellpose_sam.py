"""Fine-tuning of a Cellpose-SAM file on one's own cells: all of it, or its last layers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from pydantic import Field
from torch import Tensor, nn

from morula.common.models import families
from morula.networks.crop_queue import CropQueue
from morula.networks.devices import best_device
from morula.segmenter import cellpose_sam
from morula.training import checkpoint
from morula.training.config import Config
from morula.training.engine import BEST
from morula.training.evaluate import robustness
from morula.training.example import Example
from morula.training.objectives import Finished, Sets
from morula.training.objectives.flow_files import CHANNELS, halves, scored, some_of
from morula.training.objectives.flows import Batch, Flows, Settings, settings_of, starts_from

FAMILY = "cellpose-sam"
_LAYERS_STREAM = 1


class SamSettings(Settings):
    """What is learned on from a file, which has to be there."""

    diameter_px: float = Field(30.0, gt=4, le=100)
    crop_px: int = Field(cellpose_sam.CROP_PX, ge=cellpose_sam.CROP_PX, le=cellpose_sam.CROP_PX)
    initial: str = Field(min_length=1)
    frozen: bool = False
    """Whether the encoder's blocks stay as they are; what reads them out is learned alone, and takes a tenth."""
    layer_drop: float = Field(0.4, ge=0, lt=1)
    """How often the last block is left out of a crop; earlier ones less often, the first never."""


@dataclass(frozen=True)
class Dropped(Batch):
    """With the blocks that each crop goes through."""

    is_kept: Tensor


def size(config: Config) -> tuple[float, int]:
    settings = settings_of(config, SamSettings)
    return settings.diameter_px, settings.crop_px


def initial(config: Config) -> str:
    return settings_of(config, SamSettings).initial


def objective(config: Config, sets: Sets, root: Path) -> SamFlows:
    return SamFlows(config, settings_of(config, SamSettings), sets, root)


def finish(config: Config, sets: Sets, tested: Sequence[Example], folder: Path) -> Finished:
    settings = settings_of(config, SamSettings)
    path = folder / f"{config.name}.safetensors"
    checkpoint.write_whole(path, halves(safetensors.numpy.load((folder / BEST).read_bytes())))
    queue = CropQueue(best_device())
    try:
        model = cellpose_sam.load(replace(families()[FAMILY], name=config.name), [("network", path)], queue)
        figures = {
            "scores": scored(
                model, None, tested, settings.diameter_px, config.row.object_um, folder / f"{config.name}.jpg"
            ),
            "robustness": robustness(model, some_of(sets["test"]), settings.diameter_px),
        }
    finally:
        queue.close()
    return Finished({"network": path}, FAMILY, CHANNELS, {**starts_from(settings), **figures})


class SamFlows(Flows[SamSettings]):
    """Cellpose's loss on the published network."""

    seen_px = (cellpose_sam.CROP_PX, True)

    def __init__(self, config: Config, settings: SamSettings, sets: Sets, root: Path) -> None:
        super().__init__(config, settings, sets, root)
        self._block_count = 0

    def network(self) -> nn.Module:
        network = cellpose_sam.read_network(self._root / self._settings.initial).float()
        # Its own way to leave blocks out draws from a generator that a run which goes on would not find as it was.
        network.rdrop = 0.0
        self._block_count = len(network.encoder.blocks)
        for number, block in enumerate(network.encoder.blocks):
            block.number = number
            block.is_kept = None
            block.register_forward_hook(_leave_out)
        if self._settings.frozen:
            network.encoder.blocks.requires_grad_(False)
            network.encoder.pos_embed.requires_grad_(False)
        # The published forward reads the weights of the first layer, not the layer: no gradient comes to it.
        network.encoder.patch_embed.requires_grad_(False)
        learned: nn.Module = network
        return learned

    def batch(self, step: int) -> Dropped:
        seen = super().batch(step)
        rng = np.random.default_rng([self._seed, step, self._batch_size, _LAYERS_STREAM])
        often = np.linspace(0, self._settings.layer_drop, self._block_count)
        is_kept = rng.random((self._batch_size, self._block_count)) >= often
        return Dropped(seen.planes, seen.flow, seen.inside, torch.from_numpy(is_kept))

    def loss(self, network: Any, batch: Batch) -> Tensor:
        assert isinstance(batch, Dropped)  # noqa: S101 - it is what `batch` made
        for block in network.encoder.blocks:
            block.is_kept = batch.is_kept
        try:
            return super().loss(network, batch)
        finally:
            for block in network.encoder.blocks:
                block.is_kept = None


def _leave_out(block: Any, seen: tuple[Tensor, ...], said: Tensor) -> Tensor:
    """A block that a crop does not go through hands on what it was given."""
    if block.is_kept is None:
        return said
    return torch.where(block.is_kept[:, block.number, None, None, None], said, seen[0])
