"""Self-supervision of an embedder: of all views in a batch, those of one cell are to be the most alike.

The loss is that of copy detection (Pizzi et al., 2022): each view has to find its cell's other view among all others
(NT-Xent, Chen et al., 2020), and views keep away from the nearest that is not of their cell (KoLeo, Sablayrolles et
al., 2019), so that vectors spread. No labels but outlines are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from morula.common.errors import InvalidArgument
from morula.networks import cell_net_files
from morula.networks.cell_net import CellNet
from morula.networks.files import CROP_SIDE, DIAMETER
from morula.training import checkpoint
from morula.training.augment import Augmentation, cell_view
from morula.training.config import Config, said_of
from morula.training.engine import BEST
from morula.training.example import Example
from morula.training.objectives import Finished, Sets
from morula.training.objectives.flow_files import halves
from morula.training.prepared import Prepared, Sampler

FAMILY = "cell-net"
CHANNELS = ("red", "green", "blue", "mask")
_TEMPERATURE, _SPREADING = 0.1, 0.5
_LEAST_GAP = 1e-6
_HEAD = "head."
_WATCHED = 256
"""Cells at most."""
_WATCH_STREAM = 1 << 30


class OfCells(Augmentation):
    """Colour is kept unless it is said otherwise: it tells cells apart."""

    scale: tuple[float, float] = (0.8, 1.25)
    stain: float = 0.12
    turn: float = 0.03
    other_stains_p: float = 0.0
    invert_p: float = 0.0
    gray_p: float = 0.05
    shuffle_p: float = 0.0


class Settings(BaseModel):
    """The objective's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    diameter_px: float = Field(17.0, gt=4, le=100)
    crop_px: int = Field(48, ge=16, le=512)
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((32, 64, 128, 192), min_length=1, max_length=8)
    dimension_count: int = Field(96, ge=2)
    unmasked_p: float = Field(0.1, ge=0, le=1)
    """How often all of a crop is shown as the cell's own, as images of single cells are."""
    augmentation: OfCells = OfCells()

    @model_validator(mode="after")
    def _halves_to_the_end(self) -> Settings:
        if self.crop_px % (step := 2 ** len(self.widths)):
            raise ValueError(f"crop_px of {self.crop_px} is no multiple of {step}, which so many widths need")
        return self


_Box = tuple[int, tuple[slice, slice]]
"""An object and the rows and columns it lies in."""


@dataclass(frozen=True)
class Views:
    """Two views of each cell, (n, 4, side, side)."""

    one: Tensor
    other: Tensor


class Learner(nn.Module):
    """The network, and the head that is thrown away: what views have in common is read off behind it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.net = CellNet(settings.widths, settings.dimension_count)
        width = 2 * settings.dimension_count
        self.head = nn.Sequential(nn.Linear(settings.dimension_count, width), nn.ReLU(), nn.Linear(width, width))


def size(config: Config) -> tuple[float, int]:
    settings = _settings(config)
    return settings.diameter_px, settings.crop_px


def initial(config: Config) -> str:  # noqa: ARG001 - others begin with what it names
    return ""


def objective(config: Config, sets: Sets, root: Path) -> CellCrops:  # noqa: ARG001 - others start from files there
    return CellCrops(config, _settings(config), sets)


def finish(config: Config, sets: Sets, tested: Sequence[Example], folder: Path) -> Finished:  # noqa: ARG001 - scores of others are of whole images
    """The network without its head; its score is how often a cell's other view is found among those tested."""
    state = safetensors.numpy.load((folder / BEST).read_bytes())
    settings = _settings(config)
    kept = {name.removeprefix("net."): values for name, values in state.items() if not name.startswith(_HEAD)}
    told = {DIAMETER: settings.diameter_px, CROP_SIDE: settings.crop_px}
    kept |= {name: np.array([value], np.float32) for name, value in told.items()}
    files = {"weights": folder / f"{config.name}.safetensors", "network": folder / f"{config.name}.onnx"}
    checkpoint.write_whole(files["weights"], halves(kept))
    checkpoint.write_whole(files["network"], cell_net_files.written(kept))
    learned = CellCrops(config, settings, {**sets, "watch": sets["test"]})
    network = learned.network()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    is_tested = any(one.object_count for one in sets["test"])
    figures = {"retrieval": learned.watch(network.eval())} if is_tested else {}
    return Finished(files, FAMILY, CHANNELS, figures)


class CellCrops:
    """What the engine is given to minimise."""

    def __init__(self, config: Config, settings: Settings, sets: Sets) -> None:
        self._settings, self._seed, self._batch_size = settings, config.seed, config.schedule.batch
        self._sampler = Sampler([one for one in sets["train"] if one.object_count], config.shares)
        self._watched = [one for one in sets["watch"] if one.object_count]
        self._boxes: dict[str, list[_Box]] = {}

    def network(self) -> nn.Module:
        torch.manual_seed(self._seed)
        return Learner(self._settings)

    def batch(self, step: int) -> Views:
        cells = []
        for place in range(self._batch_size):
            rng = np.random.default_rng([self._seed, step, place])
            example, number = self._drawn(rng)
            cells.append(self._pair(example, number, rng))
        return _stacked(cells)

    def parts(self, batch: Views, count: int, device: torch.device) -> list[Views]:
        split = zip(batch.one.to(device).chunk(count), batch.other.to(device).chunk(count), strict=True)
        return [Views(one, other) for one, other in split]

    def loss(self, network: Any, batch: Views) -> Tensor:
        seen = functional.normalize(network.head(network.net(torch.cat([batch.one, batch.other]))).float(), dim=1)
        with torch.autocast(seen.device.type, enabled=False):
            return _contrast(seen, len(batch.one))

    def watch(self, network: Any) -> dict[str, float]:
        """`score`: how often the nearest of all other views is the cell's own, of some watched cells."""
        rng = np.random.default_rng([self._seed, _WATCH_STREAM])
        every = [(example, place) for example in self._watched for place in range(len(self._boxes_of(example)))]
        some = rng.permutation(len(every))[:_WATCHED]
        views = _stacked([self._pair(*every[int(number)], rng) for number in some])
        device = next(network.parameters()).device
        with torch.inference_mode():
            one, other = (
                functional.normalize(network.net(view.to(device)).float(), dim=1) for view in (views.one, views.other)
            )
        nearest = (one @ other.T).argmax(dim=1).cpu()
        return {"score": float((nearest == torch.arange(len(some))).float().mean())}

    def _drawn(self, rng: np.random.Generator) -> tuple[Prepared, int]:
        """An image, and the place of one of its objects."""
        example = self._sampler.draw(rng)
        return example, int(rng.integers(len(self._boxes_of(example))))

    def _boxes_of(self, example: Prepared) -> list[_Box]:
        if example.key not in self._boxes:
            self._boxes[example.key] = _boxes(example.labels)
        return self._boxes[example.key]

    def _pair(self, example: Prepared, place: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Two views of one object, which lies in the middle of both."""
        number, box = self._boxes_of(example)[place]
        own = np.zeros(example.labels.shape, np.uint8)
        own[box] = example.labels[box] == number
        rows, columns = np.nonzero(own[box])
        middle = (box[1].start + float(columns.mean()) + 0.5, box[0].start + float(rows.mean()) + 0.5)
        one, other = (self._view(example, own, middle, rng) for _ in range(2))
        return one, other

    def _view(
        self, example: Prepared, own: NDArray[np.uint8], middle: tuple[float, float], rng: np.random.Generator
    ) -> Tensor:
        side, wanted = self._settings.crop_px, self._settings.augmentation
        seen = cell_view(example.pixels, own, example.reference, side, wanted, rng, middle)
        if rng.random() < self._settings.unmasked_p:
            seen[3] = 1
        return torch.from_numpy(seen)


def _contrast(seen: Tensor, count: int) -> Tensor:
    """Of `count` views of cells and then as many others of the same cells, each of length one."""
    there = torch.arange(len(seen), device=seen.device)
    own, nothing = there.roll(count), seen.new_tensor(-torch.inf)
    alike = (seen @ seen.T).index_put((there, there), nothing)
    among = functional.cross_entropy(alike / _TEMPERATURE, own)
    nearest = alike.index_put((there, own), nothing).amax(dim=1)
    gap = (2 - 2 * nearest).clamp_min(_LEAST_GAP).sqrt()
    return among - _SPREADING * gap.log().mean()


def _boxes(labels: NDArray[np.int32]) -> list[_Box]:
    """Where each object lies: to look for one in a whole image takes longer than to show it."""
    return [(number, box) for number, box in enumerate(ndimage.find_objects(labels), start=1) if box]


def _stacked(cells: Sequence[tuple[Tensor, Tensor]]) -> Views:
    return Views(torch.stack([one for one, _ in cells]), torch.stack([other for _, other in cells]))


def _settings(config: Config) -> Settings:
    try:
        return Settings.model_validate(config.settings)
    except ValidationError as error:
        raise InvalidArgument(f"settings: {said_of(error)}") from error
