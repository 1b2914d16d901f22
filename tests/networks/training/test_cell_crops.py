"""Self-supervision of an embedder: cells of three kinds of texture, of which nobody says which is which."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from morula.common.errors import InvalidArgument
from morula.networks import cell_net_files, cell_net_graph
from morula.networks.cell_net import CellNet
from morula.networks.cell_net_graph import CellNetConfig
from morula.training import progress
from morula.training.config import Config
from morula.training.engine import Engine
from morula.training.objectives import Sets, find
from morula.training.prepared import Prepared

SIDE_PX = 160
QUIET = dict.fromkeys(("stain", "turn", "blur_p", "shrink_p", "noise_p", "jpeg_p", "other_stains_p"), 0.0)


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
        "schedule": {"steps": 40, "batch": 24, "rate": 3e-3, "average": 0.5, "watch_every": 20},
        "settings": {"crop_px": 32, "widths": [8, 16, 24], "dimension_count": 16},
    })  # fmt: skip


def test_it_learns_to_find_a_cell_by_another_view_of_it(config: Config, tmp_path: Path) -> None:
    config = config.model_copy(update={"settings": {**config.settings, "augmentation": QUIET, "unmasked_p": 0.0}})
    sets: Sets = {"train": [cells(n) for n in range(6)], "watch": [cells(n) for n in range(9, 25)], "test": [cells(8)]}
    learned = find("cell-crops").objective(config, sets, tmp_path)
    untrained = learned.watch(learned.network().eval())["score"]  # type: ignore[attr-defined]
    outcome = Engine(learned, config.schedule, {}, tmp_path, threading.Event()).run()
    losses = [line["loss"] for line in progress.read(tmp_path) if "loss" in line]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert outcome.best_score > 1.5 * untrained
    untested = replace(sets["test"][0], labels=np.zeros_like(sets["test"][0].labels))
    assert not find("cell-crops").finish(config, {**sets, "test": [untested]}, [], tmp_path).figures
    finished = find("cell-crops").finish(config, sets, [], tmp_path)
    assert 0 < finished.figures["retrieval"]["score"] <= 1
    state = cell_net_files.read(finished.files["network"])
    assert CellNetConfig.of(state) == CellNetConfig((8, 16, 24), 16)
    assert cell_net_graph.crop_px(state) == 32


def test_the_usual_network_is_small() -> None:
    count = sum(tensor.numel() for tensor in CellNet().state_dict().values())
    assert 2 * count < 8_000_000


def test_both_views_show_the_cell_in_the_middle(config: Config, tmp_path: Path) -> None:
    sets: Sets = {"train": [cells(0)], "watch": [], "test": []}
    masked = config.model_copy(update={"settings": {**config.settings, "unmasked_p": 0.0}})
    batch = find("cell-crops").objective(masked, sets, tmp_path).batch(3)
    for views in (batch.one, batch.other):
        assert views.shape == (24, 4, 32, 32)
        assert bool((views[:, 3, 16, 16] == 1).all())
        assert bool((views[:, 3].sum(dim=(1, 2)) < 27**2).all())
    unmasked = config.model_copy(update={"settings": {**config.settings, "unmasked_p": 1.0}})
    assert bool((find("cell-crops").objective(unmasked, sets, tmp_path).batch(3).one[:, 3] == 1).all())


def test_a_crop_that_cannot_be_halved_so_often_is_refused(config: Config, tmp_path: Path) -> None:
    odd = config.model_copy(update={"settings": {"crop_px": 40, "widths": [8] * 4}})
    with pytest.raises(InvalidArgument, match="no multiple of 16"):
        find("cell-crops").objective(odd, {"train": [], "watch": [], "test": []}, tmp_path)


def test_what_is_dark_in_one_image_is_as_dark_in_another(config: Config, tmp_path: Path) -> None:
    """Views are not scaled by their image: of a paler one they are paler."""
    asked = config.model_copy(update={"settings": {**config.settings, "augmentation": QUIET}})
    one = cells(0)
    pale = replace(one, pixels=one.pixels // 2 + 127, reference=one.reference // 2 + 127)
    means = [
        float(find("cell-crops").objective(asked, {"train": [example], "watch": [], "test": []}, tmp_path)
              .batch(0).one[:, :3].mean())
        for example in (one, pale)
    ]  # fmt: skip
    assert means[1] > means[0] + 0.05
