"""What is installed where networks run, which is not everywhere the same: named, and imported when it is needed."""

from __future__ import annotations

import importlib
from typing import Any

from morula.common.errors import ModelUnavailable

_COMMAND = ".venv/bin/pip install -e '.[{}]' in the checkout"
INSTALL = _COMMAND.format("networks")
_OF_OTHERS = {"timm": _COMMAND.format("backbones")}


def imported(module: str) -> Any:
    """The module; ModelUnavailable with what to do where something that it needs is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("morula"):
            raise
        command = _OF_OTHERS.get(error.name or "", INSTALL)
        raise ModelUnavailable(f"networks need {error.name}, which is not installed: {command}") from error
