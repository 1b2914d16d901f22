"""Weights that ship with the code: in `shipped`, by the name of their model and what they are to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from morula.common.errors import ModelUnavailable
from morula.common.hashing import sha256_of
from morula.common.models import REGISTRY, ModelSpec, Task

FOLDER = Path(__file__).parent / "shipped"
SUFFIX = ".safetensors"


def rows(task: Task) -> Sequence[ModelSpec]:
    """Networks of a task that are always there."""
    return [row for row in REGISTRY if row.task == task and row.is_network]


def files(spec: ModelSpec) -> list[tuple[str, Path]]:
    """Role and path of each of a row's files, which have to be those that the row was made for."""
    return [(role, _file(spec, role, sha256)) for role, sha256 in spec.files]


def _file(spec: ModelSpec, role: str, sha256: str) -> Path:
    path = FOLDER / f"{spec.name}.{role}{SUFFIX}"
    if not path.is_file():
        raise ModelUnavailable(f"{spec.name}: {path} is missing; install Morula again", model=spec.name)
    if sha256_of(path) != sha256:
        raise ModelUnavailable(f"{spec.name}: {path} has been changed or damaged", model=spec.name)
    return path
