"""Self-supervision of an embedder: cells of three kinds of texture, of which nobody says which is which."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from morula.networks.cell_net import CellNet
from morula.training import progress
from morula.training.config import Config
from morula.training.engine import Engine
from morula.training.objectives import Sets, find
from morula.training.prepared import Prepared

SIDE_PX = 160


def cells(seed: int) -> Prepared:
    """Discs that differ in size, tone and grain."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((SIDE_PX, SIDE_PX), np.int32)
    pixels = np.full((SIDE_PX, SIDE_PX, 3), (235.0, 215, 225)) + rng.normal(0, 4, (SIDE_PX, SIDE_PX, 3))
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    for n in range(16):
        row, column = divmod(n, 4)
        inside = (y - 20 - 40 * row) ** 2 + (x - 20 - 40 * column) ** 2 <= rng.uniform(5, 12) ** 2
        labels[inside] = n + 1
        pixels[inside] = rng.uniform(40, 150, 3) + rng.normal(0, rng.choice([2, 30]), (inside.sum(), 1))
    image = np.clip(pixels, 0, 255).astype(np.uint8)
    flows = np.zeros((SIDE_PX, SIDE_PX, 2), np.int8)
    return Prepared(f"x/{seed}", f"x/{seed}", "x", image, labels, flows, image.reshape(-1, 3)[::13], labels.shape)


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.model_validate({
        "name": "describing", "objective": "cell-crops", "sources": [{"name": "x", "path": "x"}],
        "schedule": {"steps": 40, "batch": 24, "rate": 3e-3, "watch_every": 20},
        "settings": {"crop_px": 32, "widths": [8, 16, 24], "dimension_count": 16},
    })  # fmt: skip


def test_it_learns_to_find_a_cell_by_another_view_of_it(config: Config, tmp_path: Path) -> None:
    sets: Sets = {"train": [cells(n) for n in range(6)], "watch": [cells(9)], "test": [cells(8)]}
    learned = find("cell-crops").objective(config, sets, tmp_path)
    untrained = learned.watch(learned.network().eval())["score"]  # type: ignore[attr-defined]
    outcome = Engine(learned, config.schedule, {}, tmp_path, threading.Event()).run()
    losses = [line["loss"] for line in progress.read(tmp_path) if "loss" in line]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert outcome.best_score > untrained
    untested = replace(sets["test"][0], labels=np.zeros_like(sets["test"][0].labels))
    assert not find("cell-crops").finish(config, {**sets, "test": [untested]}, [], tmp_path).figures
    finished = find("cell-crops").finish(config, sets, [], tmp_path)
    assert 0 < finished.figures["retrieval"]["score"] <= 1
    network = CellNet((8, 16, 24), 16)
    network.load_state_dict(safetensors.torch.load_file(finished.files["network"]))
    with torch.inference_mode():
        assert network.eval()(torch.rand(3, 4, 32, 32)).shape == (3, 16)


def test_the_usual_network_is_small() -> None:
    count = sum(tensor.numel() for tensor in CellNet().state_dict().values())
    assert 2 * count < 8_000_000


def test_both_views_show_the_cell_in_the_middle(config: Config, tmp_path: Path) -> None:
    learned = find("cell-crops").objective(config, {"train": [cells(0)], "watch": [], "test": []}, tmp_path)
    batch = learned.batch(3)
    for views in (batch.one, batch.other):
        assert views.shape == (24, 4, 32, 32)
        assert bool((views[:, 3, 16, 16] == 1).all())
        assert bool((views[:, 3].sum(dim=(1, 2)) < 24**2).all())
