"""Self-supervision of an embedder: two views of one cell have one vector, and vectors of cells say different things.

The loss is VICReg's (Bardes et al., 2022): views agree, every number varies over the batch, no two say the same. No
labels but outlines are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn import functional

from morula.common.errors import InvalidArgument
from morula.networks.cell_net import CellNet
from morula.training import checkpoint
from morula.training.augment import Augmentation, view
from morula.training.config import Config, said_of
from morula.training.engine import BEST
from morula.training.example import Example
from morula.training.objectives import Finished, Sets
from morula.training.objectives.flow_files import CHANNELS, halves
from morula.training.prepared import Prepared, Sampler

FAMILY = "cell-net"
_AGREE, _VARY, _DIFFER = 25.0, 25.0, 1.0
_HEAD = "head."
_WATCHED = 256
_WATCH_STREAM = 1 << 30


class Settings(BaseModel):
    """The objective's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    diameter_px: float = Field(17.0, gt=4, le=100)
    crop_px: int = Field(48, ge=16, multiple_of=16)
    widths: tuple[int, ...] = (32, 64, 128, 192)
    dimension_count: int = Field(96, ge=2)
    augmentation: Augmentation = Augmentation(scale=(0.8, 1.25), invert_p=0.0, shuffle_p=0.0)


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
    path = folder / f"{config.name}.safetensors"
    kept = {name.removeprefix("net."): values for name, values in state.items() if not name.startswith(_HEAD)}
    checkpoint.write_whole(path, halves(kept))
    learned = CellCrops(config, _settings(config), {**sets, "watch": sets["test"]})
    network = learned.network()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    is_tested = any(one.object_count for one in sets["test"])
    figures = {"retrieval": learned.watch(network.eval())} if is_tested else {}
    return Finished({"network": path}, FAMILY, CHANNELS, figures)


class CellCrops:
    """What the engine is given to minimise."""

    def __init__(self, config: Config, settings: Settings, sets: Sets) -> None:
        self._settings, self._seed, self._batch_size = settings, config.seed, config.schedule.batch
        self._sampler = Sampler([one for one in sets["train"] if one.object_count], config.shares)
        self._watched = [one for one in sets["watch"] if one.object_count]

    def network(self) -> nn.Module:
        torch.manual_seed(self._seed)
        return Learner(self._settings)

    def batch(self, step: int) -> Views:
        cells = []
        for place in range(self._batch_size):
            rng = np.random.default_rng([self._seed, step, place])
            cells.append(self._pair(self._sampler.draw(rng), rng))
        return _stacked(cells)

    def parts(self, batch: Views, count: int, device: torch.device) -> list[Views]:
        split = zip(batch.one.to(device).chunk(count), batch.other.to(device).chunk(count), strict=True)
        return [Views(one, other) for one, other in split]

    def loss(self, network: Any, batch: Views) -> Tensor:
        both = network.head(network.net(torch.cat([batch.one, batch.other]))).float()
        one, other = both.chunk(2)
        agree = functional.mse_loss(one, other)
        vary = sum(functional.relu(1 - torch.sqrt(view.var(dim=0) + 1e-4)).mean() for view in (one, other)) / 2
        return _AGREE * agree + _VARY * vary + _DIFFER * (_shared(one) + _shared(other))

    def watch(self, network: Any) -> dict[str, float]:
        """`score`: how often the nearest of all other views is the cell's own, of watched cells."""
        rng = np.random.default_rng([self._seed, _WATCH_STREAM])
        cells = [self._pair(self._watched[int(rng.integers(len(self._watched)))], rng) for _ in range(_WATCHED)]
        views = _stacked(cells)
        device = next(network.parameters()).device
        with torch.inference_mode():
            one, other = (
                functional.normalize(network.net(view.to(device)).float(), dim=1) for view in (views.one, views.other)
            )
        nearest = (one @ other.T).argmax(dim=1).cpu()
        return {"score": float((nearest == torch.arange(_WATCHED)).float().mean())}

    def _pair(self, example: Prepared, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Two views of one object, which lies in the middle of both."""
        number = int(rng.choice(np.setdiff1d(example.labels, 0)))
        rows, columns = np.nonzero(example.labels == number)
        middle = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
        own = (example.labels == number).astype(np.int32)
        side, wanted = self._settings.crop_px, self._settings.augmentation
        views = (view(example.pixels, own, example.flows, example.reference, side, wanted, rng, middle) for _ in "ab")
        one, other = (torch.from_numpy(np.concatenate([seen.planes, seen.inside[None]])) for seen in views)
        return one, other


def _stacked(cells: Sequence[tuple[Tensor, Tensor]]) -> Views:
    return Views(torch.stack([one for one, _ in cells]), torch.stack([other for _, other in cells]))


def _shared(vectors: Tensor) -> Tensor:
    """How much the numbers of vectors say the same: squares of their covariances."""
    centred = vectors - vectors.mean(dim=0)
    covariance = centred.T @ centred / max(1, len(vectors) - 1)
    beside: Tensor = covariance.pow(2).sum() - covariance.diagonal().pow(2).sum()
    return beside / vectors.shape[1]


def _settings(config: Config) -> Settings:
    try:
        return Settings.model_validate(config.settings)
    except ValidationError as error:
        raise InvalidArgument(f"settings: {said_of(error)}") from error
