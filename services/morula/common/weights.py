"""The folder of an operator's weights: files by their digest, and beside them a row of the registry per model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from morula.common.errors import ModelUnavailable
from morula.common.keys import digest
from morula.common.models import ModelSpec

Files = Sequence[tuple[str, Path]]
_CHUNK_BYTES = 1 << 20


class WeightsFolder:
    """Rows are read when a process starts; a file is compared with its digest whenever it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> list[ModelSpec]:
        return [_read_row(path) for path in sorted(self._path.glob("*.json"))]

    def files(self, spec: ModelSpec) -> list[tuple[str, Path]]:
        """Role and path of each of a row's files."""
        return [(role, self._file(spec, role, sha256)) for role, sha256 in spec.files]

    def _file(self, spec: ModelSpec, role: str, sha256: str) -> Path:
        found = sorted(self._path.glob(f"{sha256}*"))
        if not found:
            raise ModelUnavailable(f"{spec.name}: its {role} file {sha256[:12]} is not in {self._path}")
        if file_sha256(found[0]) != sha256:
            raise ModelUnavailable(f"{spec.name}: its {role} file {found[0].name[:12]} has been changed or damaged")
        return found[0]

    def add(self, row: ModelSpec, files: Files) -> ModelSpec:
        """Copies files in and writes the row; what is written last makes the model known."""
        named = tuple((role, file_sha256(path)) for role, path in files)
        spec = replace(
            row, files=named, weights_sha256=named[0][1] if len(named) == 1 else digest(list(map(list, named)))
        )
        self._path.mkdir(parents=True, exist_ok=True)
        for (_, sha256), (_, path) in zip(named, files, strict=True):
            _place(path, self._path / f"{sha256}{path.suffix}")
        unfinished = self._path / f".{spec.name}.json"
        unfinished.write_text(json.dumps(asdict(spec), indent=2), encoding="utf-8")
        unfinished.rename(self._path / f"{spec.name}.json")
        return spec


def file_sha256(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def _place(source: Path, target: Path) -> None:
    if not target.exists():
        unfinished = target.with_name(f".{target.name}")
        shutil.copyfile(source, unfinished)
        unfinished.rename(target)


def _read_row(path: Path) -> ModelSpec:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return ModelSpec(**{field.name: _frozen(stored[field.name]) for field in fields(ModelSpec)})
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"{path} is no row of the registry: {error}") from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
