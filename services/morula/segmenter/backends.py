"""The models that this service runs, by their name in the registry: the classical one, and families of networks."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, Cores
from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.common.weights import WeightsFolder
from morula.segmenter import watershed
from morula.segmenter.instances import Instances, Model, Sizing, Wanted, unstoppable

if TYPE_CHECKING:
    from morula.segmenter.engine import CropQueue

MODELS: Mapping[str, Model] = {"watershed": watershed.segment}

# Modules with `load(spec, files, queue)`; imported when a model of the family is first asked, for they import torch.
FAMILIES: Mapping[str, str] = {
    "cellpose-sam": "morula.segmenter.cellpose_sam",
    "cellpose-unet": "morula.segmenter.cellpose_unet",
    "instanseg": "morula.segmenter.instanseg",
}
INSTALL = ".venv/bin/pip install -e '.[networks]' in the checkout"


class LazyModel:
    """A network that is read when it is first needed, by the thread that needs it."""

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Model | None = None

    def __call__(
        self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint = unstoppable, /
    ) -> Instances:
        return self._model()(pixels, mpp, wanted, checkpoint)

    def sized(self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint, /) -> Wanted:
        model = self._model()
        return model.sized(pixels, mpp, wanted, checkpoint) if isinstance(model, Sizing) else wanted

    def _model(self) -> Model:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded


class Networks(Mapping[str, Model]):
    """Models by name: those that are always there, and those of an operator's files on one device."""

    def __init__(
        self, weights: WeightsFolder | None = None, device: str = "", batch: int = 0, cores: Cores | None = None
    ) -> None:
        self._weights = weights
        self._device, self._batch, self._cores = device, batch, cores
        self._queue: CropQueue | None = None
        self._lock = threading.Lock()
        self.specs: Sequence[ModelSpec] = weights.rows() if weights else ()
        self._models = dict(MODELS) | {spec.name: LazyModel(self._loader(spec)) for spec in self.specs}

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def check(self) -> bool:
        """Whether the device computes; nothing is asked of it before a network needed it."""
        return self._queue is None or self._queue.check()

    def close(self) -> None:
        if self._queue:
            self._queue.close()

    def _loader(self, spec: ModelSpec) -> Callable[[], Model]:
        def load() -> Model:
            if spec.family not in FAMILIES or self._weights is None:
                raise ModelUnavailable(f"this segmenter knows no network {spec.family!r}", model=spec.name)
            return load_family(spec, self._weights.files(spec), self._crop_queue())

        return load

    def _crop_queue(self) -> CropQueue:
        with self._lock:
            if self._queue is None:
                engine = _imported("morula.segmenter.engine")
                self._queue = engine.CropQueue(self._device or engine.best_device(), self._batch, self._cores)
            return self._queue


def load_family(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> Model:
    """The model of a row; every tensor of its files is checked on the way."""
    model: Model = _imported(FAMILIES[spec.family]).load(spec, files, queue)
    return model


def check_files(spec: ModelSpec, files: Sequence[tuple[str, Path]]) -> None:
    """Raises ModelUnavailable where files are not what the row's family needs."""
    queue = _imported("morula.segmenter.engine").CropQueue("cpu")
    try:
        load_family(spec, files, queue)
    finally:
        queue.close()


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("morula"):
            raise
        raise ModelUnavailable(f"networks need {error.name}, which is not installed: {INSTALL}") from error
