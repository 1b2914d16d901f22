"""The models that a service runs: those without weights, and networks on one device, shipped or of an operator.

A family of networks is one row of the registry and one file: `load(spec, files, queue)` in the module of the family's
name, in the service of its task. It is imported when one of the family is first asked, for it may import torch. Where
files of a family differ in what their rows say, `described(spec, files)` beside it completes the row.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from morula.common.compute import Processors
from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec, Task, families
from morula.common.weights import WeightsFolder
from morula.networks import shipped
from morula.networks.dtypes import Runtime
from morula.networks.installed import imported

if TYPE_CHECKING:
    from morula.networks.crop_queue import CropQueue

Model = TypeVar("Model")


class Models(Mapping[str, Model]):
    """Models of one task by name. A network is read when it is first needed, by the thread that needs it."""

    def __init__(
        self,
        task: Task,
        always: Mapping[str, Model],
        weights: WeightsFolder | None = None,
        device: str = "",
        batch: int = 0,
        processors: Processors | None = None,
        runtime: Runtime = "openvino",
    ) -> None:
        self._weights = weights
        self._device, self._batch, self._processors, self._runtime = device, batch, processors, runtime
        self._queue: CropQueue | None = None
        self._lock = threading.Lock()
        self.rows: Sequence[ModelSpec] = [row for row in weights.rows() if row.task == task] if weights else ()
        self._shipped = {row.name: row for row in shipped.rows(task)}
        self._networks = self._shipped | {row.name: row for row in self.rows}
        self._loaded: dict[str, Model] = dict(always)
        self._names = [*always, *self._networks]

    def __getitem__(self, name: str) -> Model:
        if name not in self._loaded:
            with self._lock:  # Models that are loaded do not wait for one that is being loaded.
                if name not in self._loaded:
                    self._loaded[name] = self._load(self._networks[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names  # The method of Mapping would load the network.

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def check(self) -> bool:
        """Whether the device computes; nothing is asked of it before a network needed it."""
        return self._queue is None or self._queue.check()

    def close(self) -> None:
        if self._queue:
            self._queue.close()

    def _load(self, row: ModelSpec) -> Any:
        files = self._files(row)
        if self._queue is None:
            device = self._device or imported("morula.networks.devices").best_device()
            queue = imported("morula.networks.crop_queue").CropQueue
            self._queue = queue(device, self._batch, self._processors, self._runtime)
        return load_network(row, files, self._queue)

    def _files(self, row: ModelSpec) -> Sequence[tuple[str, Path]]:
        if row.name in self._shipped:
            return shipped.files(row)
        assert self._weights is not None  # noqa: S101 - whence its row is
        return self._weights.files(row)


def load_network(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> Any:
    """The model of a row; every tensor of its files is checked on the way."""
    return _module(spec).load(spec, files, queue)


def check_files(spec: ModelSpec, files: Sequence[tuple[str, Path]]) -> ModelSpec:
    """The row, with what its files say of it; raises ModelUnavailable where they are not what its family needs."""
    module = _module(spec)
    if hasattr(module, "described"):
        spec = module.described(spec, files)
    queue = imported("morula.networks.crop_queue").CropQueue("cpu")
    try:
        module.load(spec, files, queue)
    finally:
        queue.close()
    return spec


def _module(spec: ModelSpec) -> Any:
    if spec.family not in families():
        raise ModelUnavailable(f"this {spec.task} knows no network {spec.family!r}", model=spec.name)
    return imported(f"morula.{spec.task}.{spec.family.replace('-', '_')}")
