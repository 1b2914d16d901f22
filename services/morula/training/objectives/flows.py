"""Cellpose's objective: where each pixel is drawn, and whether it is in an object; objects have one size."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from morula.common.errors import InvalidArgument
from morula.evaluator.shape_scores import scores
from morula.evaluator.shapes import overlap
from morula.networks import unet_files
from morula.networks.torch_files import load_exactly
from morula.networks.unet import UNet
from morula.networks.unet_shape import UNetConfig
from morula.segmenter import crops
from morula.segmenter.cellpose_unet import CROP_PX
from morula.segmenter.channels import planes
from morula.segmenter.dynamics import DynamicsParams, find_instances
from morula.segmenter.instances import Calibration
from morula.training.augment import Augmentation, view
from morula.training.config import Config, said_of
from morula.training.example import Example
from morula.training.objectives import Finished, Sets
from morula.training.objectives.flow_files import CHANNELS, write_and_measure
from morula.training.prepared import Prepared, Sampler

S = TypeVar("S", bound="Settings")

_FLOW_LENGTH = 5.0
_STEP_PX = 16
_NORM_EPSILON = 1e-5
_FIRST = ("downsample.down.res_down_0.conv.conv_0", "downsample.down.res_down_0.proj")


class Settings(BaseModel):
    """The objective's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    diameter_px: float = Field(17.0, gt=4, le=100)
    """Median diameter of objects as the network sees them."""
    crop_px: int = Field(160, ge=32, multiple_of=_STEP_PX)
    initial: str = ""
    """A file of weights to start from."""
    initial_licence: str = ""
    augmentation: Augmentation = Augmentation()


class UNetSettings(Settings):
    """Weights to start from are of the same network, or of one that sees gray in the first of two channels."""

    widths: tuple[int, ...] = (32, 64, 128, 256)
    holds_norms: bool = False
    """Whether norms keep the means and spreads that they start with: few crops of many kinds of images tell others."""


@dataclass(frozen=True)
class Batch:
    """Crops and what is to be said of them."""

    planes: Tensor
    flow: Tensor
    inside: Tensor


def size(config: Config) -> tuple[float, int]:
    settings = settings_of(config, UNetSettings)
    return settings.diameter_px, settings.crop_px


def initial(config: Config) -> str:
    return settings_of(config, UNetSettings).initial


def objective(config: Config, sets: Sets, root: Path) -> UNetFlows:
    return UNetFlows(config, settings_of(config, UNetSettings), sets, root)


def finish(config: Config, sets: Sets, tested: Sequence[Example], folder: Path) -> Finished:
    settings = settings_of(config, UNetSettings)
    finished = write_and_measure(config, settings.diameter_px, sets, tested, folder)
    return finished._replace(figures={**starts_from(settings), **finished.figures})


def settings_of(config: Config, kind: type[S]) -> S:
    try:
        return kind.model_validate(config.settings)
    except ValidationError as error:
        raise InvalidArgument(f"settings: {said_of(error)}") from error


def starts_from(settings: Settings) -> dict[str, str]:
    """What the card says of weights that were there before."""
    return {"starts_from": f"`{settings.initial}` ({settings.initial_licence})"} if settings.initial else {}


class Flows(abc.ABC, Generic[S]):
    """What the engine is given to minimise, whatever network it is."""

    def __init__(self, config: Config, settings: S, sets: Sets, root: Path) -> None:
        self._settings = settings
        self._seed = config.seed
        self._sampler = Sampler(sets["train"], config.shares)
        self._watched = sets["watch"]
        self._root = root
        self._batch_size = config.schedule.batch

    @abc.abstractmethod
    def network(self) -> nn.Module:
        """The network before the first step; always the same."""

    @property
    @abc.abstractmethod
    def seen_px(self) -> tuple[int, bool]:
        """Side of the crops in which the segmenter shows it an image, and whether they are always whole."""

    def batch(self, step: int) -> Batch:
        """The crops of a step; they depend on nothing but the seed and the step."""
        views = []
        for place in range(self._batch_size):
            rng = np.random.default_rng([self._seed, step, place])
            drawn = self._sampler.draw(rng)
            side = self._settings.crop_px
            wanted = self._settings.augmentation
            views.append(view(drawn.pixels, drawn.labels, drawn.flows, drawn.reference, side, wanted, rng))
        columns = (np.stack([getattr(one, name) for one in views]) for name in ("planes", "flow", "inside"))
        return Batch(*(torch.from_numpy(column) for column in columns))

    def parts(self, batch: Batch, count: int, device: torch.device) -> list[Batch]:
        split = (getattr(batch, field.name).to(device).chunk(count) for field in fields(batch))
        return [type(batch)(*one) for one in zip(*split, strict=True)]

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        maps = network(batch.planes.contiguous(memory_format=torch.channels_last))[0].float()
        flow = functional.mse_loss(maps[:, :2], _FLOW_LENGTH * batch.flow) / 2
        return flow + functional.binary_cross_entropy_with_logits(maps[:, 2], batch.inside)

    def watch(self, network: nn.Module) -> dict[str, float]:
        """`score` decides: the mean over kinds of images of F1 at an IoU of a half, on the watched groups."""
        by_kind: dict[str, list[Prepared]] = {}
        for example in self._watched:
            by_kind.setdefault(example.kind, []).append(example)
        f1 = {}
        for kind, examples in sorted(by_kind.items()):
            f1[kind] = scores(overlap(one.inside(one.labels), self._found(network, one)) for one in examples)["f1_0.5"]
        return {"score": float(np.mean(list(f1.values()))), **{f"f1 {kind}": value for kind, value in f1.items()}}

    def _found(self, network: nn.Module, example: Prepared) -> NDArray[np.int32]:
        """Objects as the segmenter finds them, in crops that overlap."""
        seen = planes(example.inside(example.pixels), CHANNELS, Calibration(), "image")
        side, is_whole = self.seen_px
        grid = crops.plan(seen.shape[1], seen.shape[2], side, whole=is_whole)
        device = next(network.parameters()).device
        with torch.inference_mode():
            parts = torch.from_numpy(crops.cut(seen, grid)).to(device, memory_format=torch.channels_last)
            maps = torch.cat([network(part[None])[0].float().cpu() for part in parts])
        said = crops.blend(maps.numpy(), grid)
        return find_instances(said[:2], said[2], DynamicsParams(min_size=10))


class UNetFlows(Flows[UNetSettings]):
    """The residual U-Net of Cellpose 1 to 3, which sees red, green and blue."""

    seen_px = (CROP_PX, False)

    def network(self) -> nn.Module:
        torch.manual_seed(self._seed)
        network = UNet(UNetConfig(len(CHANNELS), self._settings.widths))
        if initial := self._settings.initial:
            state = {name: torch.from_numpy(array) for name, array in unet_files.read(self._root / initial).items()}
            load_exactly(network, in_colour(state), {name for name in network.state_dict() if name not in state})
        for diameter in (network.diam_mean, network.diam_labels):
            diameter.data.fill_(self._settings.diameter_px)
        return network

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        if self._settings.holds_norms:
            hold_norms(network)
        return super().loss(network, batch)


def hold_norms(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def in_colour(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state that sees red, green and blue: one of gray sees their mean, a third of each weight per colour.

    A normalised mean of three channels is the mean of three normalised ones where they vary alike; training mends the
    rest. What the second channel adds, in which there is nothing, goes into the bias.
    """
    if state[f"{_FIRST[0]}.2.weight"].shape[1] == len(CHANNELS):
        return state
    coloured = dict(state)
    for block, convolution in ((_FIRST[0], "2"), (_FIRST[1], "1")):
        weight = state[f"{block}.{convolution}.weight"][:, :1]
        coloured[f"{block}.{convolution}.weight"] = weight.repeat(1, len(CHANNELS), 1, 1) / len(CHANNELS)
        coloured[f"{block}.{convolution}.bias"] = state[f"{block}.{convolution}.bias"] + _of_nothing(
            state, block, convolution
        )
        for name in ("weight", "bias", "running_mean", "running_var"):
            coloured[f"{block}.0.{name}"] = state[f"{block}.0.{name}"][:1].repeat(len(CHANNELS))
    return coloured


def _of_nothing(state: dict[str, Tensor], block: str, convolution: str) -> Tensor:
    """What the layer adds for a second channel of zeros, away from the image's edges."""
    weight = state[f"{block}.{convolution}.weight"][:, 1:].sum(dim=(2, 3))
    mean, variance, slope, offset = (
        state[f"{block}.0.{name}"][1:] for name in ("running_mean", "running_var", "weight", "bias")
    )
    said = offset - mean / torch.sqrt(variance + _NORM_EPSILON) * slope
    return weight @ (said if convolution == "1" else said.relu())
