"""A whole machine per session, and slides that are painted once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from morula.onebox.client import Client
from morula.onebox.folder import DataFolder, Holder
from morula.onebox.machine import LocalMachine, any_port, open_machine
from morula.synth import Truth, make_slide

Paint = Callable[[int, int, int], Truth]


@pytest.fixture(scope="session")
def paint(tmp_path_factory: pytest.TempPathFactory) -> Paint:
    """Paints a synthetic slide, or finds it: (width, height, seed)."""
    folder = tmp_path_factory.mktemp("slides")

    def painted(width_px: int, height_px: int, seed: int) -> Truth:
        truth = Truth.beside(folder / f"synth-{width_px}-{height_px}-{seed}.tiff")
        return truth if truth.slide.exists() else make_slide(truth.slide, width_px, height_px, seed)

    return painted


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMachine]:
    """Everything running on a folder that was empty."""
    folder = DataFolder(tmp_path_factory.mktemp("machine"))
    messages: list[str] = []
    with open_machine(folder, "serve", port=any_port(), notify=messages.append) as opened:
        folder.announce(Holder(os.getpid(), "serve", opened.url))
        yield opened
    assert not messages, "something died, or did not stop"


@pytest.fixture
def client(machine: LocalMachine) -> Iterator[Client]:
    with machine.client() as opened:
        yield opened


def write_mosaic(path: Path, piece: Path, times: int) -> Path:
    """A large slide in little time: one slide beside and below itself."""
    picture = np.tile(tifffile.imread(piece, level=0), (times, times, 1))
    resolution = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, picture, tile=(256, 256), photometric="rgb", compression="jpeg", **resolution)
    return path


def write_blank(path: Path, side_px: int, *, mpp: float | None) -> Path:
    """A white slide; without a scale where none is given."""
    scale = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    white = np.full((side_px, side_px, 3), 244, dtype=np.uint8)
    tifffile.imwrite(path, white, tile=(256, 256), photometric="rgb", compression="adobe_deflate", **scale)
    return path
