"""The folder of an operator's weights: files by their digest, and beside them a row of the registry per model."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from morula.common.errors import ModelUnavailable
from morula.common.hashing import sha256_of
from morula.common.models import OF_THE_CODE, ModelSpec, families

Files = Sequence[tuple[str, Path]]
_ROW = TypeAdapter(ModelSpec)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class WeightsFolder:
    """Rows are read when a process starts; a file is compared with its digest whenever it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> list[ModelSpec]:
        finished = (path for path in self._path.glob("*.json") if not path.name.startswith("."))
        return [read_row(path) for path in sorted(finished)]

    def files(self, spec: ModelSpec) -> list[tuple[str, Path]]:
        """Role and path of each of a row's files."""
        return [(role, self._file(spec, role, sha256)) for role, sha256 in spec.files]

    def _file(self, spec: ModelSpec, role: str, sha256: str) -> Path:
        files = sorted(self._path.glob(f"{sha256}*"))
        if not files:
            raise ModelUnavailable(f"{spec.name}: its {role} file {sha256[:12]} is not in {self._path}")
        if sha256_of(files[0]) != sha256:
            raise ModelUnavailable(f"{spec.name}: its {role} file {files[0].name[:12]} has been changed or damaged")
        return files[0]

    def add(self, row: ModelSpec, files: Files) -> ModelSpec:
        """Copies files in and writes the row; what is written last makes the model known."""
        named = tuple((role, sha256_of(path)) for role, path in files)
        spec = replace(row, files=named)
        self._path.mkdir(parents=True, exist_ok=True)
        for (_, sha256), (_, path) in zip(named, files, strict=True):
            # A file of this suffix would be read as a row.
            _place(path, self._path / f"{sha256}{path.suffix.removesuffix('.json')}")
        unfinished = self._path / f".{spec.name}.json"
        unfinished.write_text(json.dumps(_stored(spec), indent=2), encoding="utf-8")
        unfinished.rename(self._path / f"{spec.name}.json")
        return spec


def _place(source: Path, target: Path) -> None:
    if not target.exists():
        unfinished = target.with_name(f".{target.name}")
        shutil.copyfile(source, unfinished)
        unfinished.rename(target)


def _stored(spec: ModelSpec) -> dict[str, Any]:
    return {name: value for name, value in asdict(spec).items() if name not in OF_THE_CODE}


def read_row(path: Path) -> ModelSpec:
    """The row that a file holds. Its digests, which files are looked for by, are digests and nothing else."""
    try:
        stored = _renewed(json.loads(path.read_text(encoding="utf-8")))
        unknown = stored.keys() - {field.name for field in fields(ModelSpec)}
        if unknown:
            raise ValueError(f"this version does not know {', '.join(sorted(unknown))}")
        family = families().get(stored["family"])
        if family is None:
            raise ValueError(f"this version has no family of networks {stored['family']!r}")
        spec = _ROW.validate_python({**stored, **{name: getattr(family, name) for name in OF_THE_CODE}})
        for role, sha256 in spec.files:
            if not _DIGEST.fullmatch(sha256):
                raise ValueError(f"its {role} file {sha256[:64]!r} is not named by a SHA-256 of 64 digits")
        return spec
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelUnavailable(f"{path} is not a row of the registry of models: {error}") from error


def _renewed(stored: dict[str, Any]) -> dict[str, Any]:
    """The row as it is written today; rows of earlier versions had what describes them beside the rest."""
    if "description" in stored:
        return stored
    words = {name: stored[name] for name in ("licence", "trained_on")}
    described = {**words, "commercial": "yes" if stored["commercial"] else "no"}
    gone = {"licence", "trained_on", "commercial", "weights_sha256"}
    return {name: value for name, value in stored.items() if name not in gone} | {"description": described}
