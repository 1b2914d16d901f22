"""What is installed where networks run, which is not everywhere the same: named, and imported when it is needed."""

from __future__ import annotations

import importlib
from typing import Any

from morula.common.errors import ModelUnavailable

INSTALL = ".venv/bin/pip install -e '.[networks]' in the checkout"


def imported(module: str) -> Any:
    """The module; ModelUnavailable with what to do where something that it needs is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("morula"):
            raise
        raise ModelUnavailable(f"networks need {error.name}, which is not installed: {INSTALL}") from error
