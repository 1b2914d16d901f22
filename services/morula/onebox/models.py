"""`morula models`: the registry, and an operator's files in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from morula.common.models import LIBRARIES, REGISTRY, ModelSpec, families, unit_columns
from morula.common.weights import WeightsFolder
from morula.networks.models import check_files
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder


@dataclass(frozen=True)
class Wishes:
    """What a row says in place of its family; None and empty keep that."""

    name: str | None = None
    mpp: float | None = None
    object_um: float | None = None
    channels: tuple[str, ...] = ()
    window_um: float | None = None
    context_um: float | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    """Of its description."""
    backbone: str | None = None
    """Which network of a library it is."""


def registry(folder: DataFolder) -> list[ModelSpec]:
    """Every model that the services on this folder know."""
    return [*REGISTRY, *WeightsFolder(folder.weights).rows()]


def add(folder: DataFolder, family: str, networks: Sequence[Path], size: Path | None, wishes: Wishes) -> ModelSpec:
    """Checks every tensor of the files, copies them in and writes their row."""
    known = families()
    if family not in known:
        raise WrongUse(f"there is no family of networks {family!r}; there are: {', '.join(known)}")
    row = _row(known[family], wishes)
    check_name(row, folder)
    files = [("network", path) for path in networks] + ([("size", size)] if size else [])
    missing = [str(path) for _, path in files if not path.is_file()]
    if missing:
        raise WrongUse(f"there is no file {', '.join(missing)}")
    row = check_files(row, files)
    if row.context_um:
        columns, location, scale = unit_columns(2 * len(row.columns))
        row = replace(row, columns=columns, location=location, scale=scale)
    return WeightsFolder(folder.weights).add(row, files)


def check_name(row: ModelSpec, folder: DataFolder) -> None:
    """Raises WrongUse where an operator's model cannot have the name of this row."""
    if row.name in {spec.name for spec in REGISTRY}:
        raise WrongUse(f"{row.name} is always there; choose another name with --as")
    if not row.name or set(row.name) - set("abcdefghijklmnopqrstuvwxyz0123456789._-") or row.name.startswith("."):
        raise WrongUse(
            f"{row.name!r} is not a valid name for a model: use small letters, digits, dots, dashes and underscores"
        )
    if row.name in {spec.name for spec in registry(folder) if spec.task != row.task}:
        raise WrongUse(f"{row.name} is a model of another kind already; choose another name with --as")


def _row(family: ModelSpec, wishes: Wishes) -> ModelSpec:
    """The family's row as it is wished."""
    own = ("name", "mpp", "object_um", "channels", "window_um", "context_um", "backbone")
    asked: dict[str, Any] = {name: value for name in own if (value := getattr(wishes, name)) not in (None, ())}
    if family.task == "segmenter" and {"window_um", "context_um"} & asked.keys():
        raise WrongUse(f"{family.name} looks at whole images: a window is an embedder's")
    if "name" not in asked and {"window_um", "context_um"} & asked.keys():
        raise WrongUse(f"{family.name} shows cells in its own way: give another way its own name with --as")
    if wishes.backbone:
        if family.family not in LIBRARIES:
            raise WrongUse(f"{family.name} is one network: --backbone is for {' and '.join(sorted(LIBRARIES))}")
        asked.setdefault("name", wishes.backbone.lower())
    return replace(family, **asked, description=replace(family.description, **wishes.words))


def add_trained(folder: DataFolder, files: Mapping[str, Path], card: Path) -> ModelSpec:
    """Adds a network that was trained here, with what its card says of it."""
    said = json.loads(card.read_text("utf-8"))
    row = said["row"]
    words = {name: row[name] for name in ("licence", "trained_on", "commercial")}
    wishes = Wishes(said["name"], row["mpp"], row["object_um"], tuple(row["channels"]), words=words)
    return add(folder, row["family"], [files["network"]], files.get("size"), wishes)
