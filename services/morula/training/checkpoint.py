"""Where a run stands, on disk: written whole or not at all."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from morula.common.errors import InvalidArgument, StorageFull

NAME = "checkpoint.pt"
FORMAT = 1


def save(folder: Path, state: dict[str, Any]) -> None:
    """The former checkpoint stays where this one cannot be written."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    write_whole(folder / NAME, buffer.getbuffer())


def load(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of a folder; None where there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InvalidArgument(f"{path} is damaged: begin again in another folder, or delete it") from error
    if state.get("format") != FORMAT:
        raise InvalidArgument(f"{path} is of another version of this program")
    return state


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Under its name stands the old content or the new, whatever happens meanwhile."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageFull(f"{path} cannot be written: {error.strerror}; the former one is kept") from error
