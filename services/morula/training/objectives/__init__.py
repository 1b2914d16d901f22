"""What a network can learn: one file for each objective, found by its name.

A module of an objective says how examples are prepared for it (`size`), what it learns on from (`initial`), what the
engine minimises (`objective`), and what becomes of the best weights (`finish`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from morula.training.config import Config
from morula.training.data import Part
from morula.training.engine import Objective
from morula.training.example import Example
from morula.training.prepared import Prepared

Sets = Mapping[Part, Sequence[Prepared]]


class Finished(NamedTuple):
    """Files of a trained network by their role, who reads them, and what its card says beside what is of every run."""

    files: Mapping[str, Path]
    family: str
    channels: Sequence[str]
    figures: Mapping[str, Any]


class Module(Protocol):
    """What the module of an objective offers."""

    def size(self, config: Config) -> tuple[float, int]:
        """Diameter of objects in px as the network sees them, and the least side of an image."""
        ...

    def initial(self, config: Config) -> str:
        """The file of weights that learning begins with; empty where it begins with nothing."""
        ...

    def objective(self, config: Config, sets: Sets, root: Path) -> Objective[Any]: ...

    def finish(self, config: Config, sets: Sets, tested: Sequence[Example], folder: Path) -> Finished:
        """Files and figures of the best weights in a run's folder; `tested` are the test images as they are."""
        ...


def find(name: str) -> Module:
    return cast(Module, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
