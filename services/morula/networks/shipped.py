"""Weights that ship with the code: in `weights`, by the name of their model and what they are to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from morula.common.errors import ModelUnavailable
from morula.common.hashing import sha256_of
from morula.common.models import REGISTRY, ModelSpec, Task

FOLDER = Path(__file__).parent / "weights"


def rows(task: Task) -> Sequence[ModelSpec]:
    """Networks of a task that are always there."""
    return [row for row in REGISTRY if row.task == task and row.is_network]


def files(spec: ModelSpec) -> list[tuple[str, Path]]:
    """Role and path of each of a row's files, which have to be those that the row was made for."""
    return [(role, _file(spec, role, sha256)) for role, sha256 in spec.files]


def _file(spec: ModelSpec, role: str, sha256: str) -> Path:
    there = sorted(FOLDER.glob(f"{spec.name}.{role}.*"))
    if not there:
        raise ModelUnavailable(
            f"{spec.name}: its {role} file is not in {FOLDER}; install Morula again", model=spec.name
        )
    if sha256_of(there[0]) != sha256:
        raise ModelUnavailable(f"{spec.name}: {there[0]} has been changed or damaged", model=spec.name)
    return there[0]
