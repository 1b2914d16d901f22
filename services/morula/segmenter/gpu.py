"""From crops to instances on an accelerator; `flows` is the same for a processor.

Blending, scaling, the walk, seeds and the check of flows stay where the network left its outputs; all threads use the
device's one default stream, so what a region asks follows its batches. Labels and probabilities are fetched once, for
outlines are made on the host: holes are filled and scores counted there, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from morula.networks import metrics
from morula.segmenter import crops, gpu_dynamics
from morula.segmenter.dynamics import DynamicsParams, fill_and_drop_small
from morula.segmenter.flows import CropOutputs, Flows, Image, mean_scores
from morula.segmenter.instances import Instances
from morula.segmenter.pooling import CropFeatures


@dataclass(frozen=True)
class GpuFlows:
    """Network outputs per crop, not yet joined, on their device."""

    outputs: CropOutputs

    @property
    def style(self) -> Image:
        return self.outputs.style

    @property
    def rescale(self) -> float:
        return self.outputs.rescale

    @property
    def features(self) -> CropFeatures | None:
        return self.outputs.features

    def instances(self, params: DynamicsParams) -> Instances:
        """Objects with mean probability as score; on the host where the device's memory does not suffice."""
        try:
            return self._on_gpu(params)
        except torch.OutOfMemoryError:
            metrics.OUT_OF_MEMORY.inc()
        # Not in the except block above: there the error still holds the tensors that did not fit.
        torch.cuda.empty_cache()
        return Flows.of(self.outputs).instances(params)

    @torch.inference_mode()
    def _on_gpu(self, params: DynamicsParams) -> Instances:
        blended = blend(self.outputs.maps, self.outputs.grid)
        if self.rescale != 1:
            size = (self.outputs.height, self.outputs.width)
            blended = functional.interpolate(blended[None], size, mode="bilinear", align_corners=False)[0]
        return instances(blended[-3:-1], blended[-1], params)


def instances(flow: Tensor, probability: Tensor, params: DynamicsParams) -> Instances:
    """Objects of flows, as `Flows.instances` finds them on the host."""
    device_labels = gpu_dynamics.find_instances(flow, probability, params)
    labels = fill_and_drop_small(device_labels.cpu().numpy(), params.min_size)
    return Instances(labels, mean_scores(labels, probability.cpu().numpy()))


def blend(outputs: Sequence[Sequence[Tensor]], grid: crops.CropGrid) -> Tensor:
    """One image (channels, height, width) of the mean of networks: crops add up to rows, rows to the image."""
    crop_maps = torch.stack([torch.stack([torch.as_tensor(crop) for crop in network]) for network in outputs]).mean(0)
    crop_maps = _upright(crop_maps.view(len(grid.rows), len(grid.columns), *crop_maps.shape[1:]), grid)
    along_y, along_x, down, across = crops.tapers(grid)
    arrays = (along_y, along_x, down[:, None] * across)
    taper_y, taper_x, weight = (torch.from_numpy(array).to(crop_maps) for array in arrays)
    strips = crop_maps.new_zeros((*crop_maps.shape[:1], *crop_maps.shape[2:4], grid.padded[1]))
    for column, x in enumerate(grid.columns):
        strips[..., x : x + grid.crop[1]] += crop_maps[:, column] * taper_x
    total = crop_maps.new_zeros((crop_maps.shape[2], *grid.padded))
    for row, y in enumerate(grid.rows):
        total[:, y : y + grid.crop[0]] += strips[row] * taper_y[:, None]
    inner = (slice(grid.top_px, grid.top_px + grid.height), slice(grid.left_px, grid.left_px + grid.width))
    return total[:, *inner] / weight[inner]


def _upright(crop_maps: Tensor, grid: crops.CropGrid) -> Tensor:
    """(rows, columns, channels, height, width): crops that were seen flipped are flipped back, as are their flows."""
    if grid.is_flipped:
        crop_maps[:, 1::2] = crop_maps[:, 1::2].flip(-2)
        crop_maps[1::2] = crop_maps[1::2].flip(-1)
        crop_maps[:, 1::2, crops.DY] *= -1
        crop_maps[1::2, :, crops.DX] *= -1
    return crop_maps
