"""Real slides and cells, optional; a plugin of its own, which asks for nothing that is not there everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """MORULA_DATA says where, else they lie beside the repository."""
    folder = Path(os.environ.get("MORULA_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; MORULA_DATA names another folder")
    return folder
