"""Fine-tuning of a Cellpose-SAM file, on a random one of two blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from morula.segmenter import cellpose_sam
from morula.segmenter.stock import randomize
from morula.training.config import Config
from morula.training.flow_targets import flows_of
from morula.training.objectives import Sets, find
from morula.training.objectives.flow_files import halves
from morula.training.prepared import Prepared

torch.set_num_threads(1)
BLOCKS = 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    network = randomize(cellpose_sam.published(BLOCKS).to_empty(device="cpu"))
    safetensors.torch.save_file(network.state_dict(), folder / "tiny.safetensors")
    return folder


def learning(root: Path, **settings: Any) -> Any:
    config = Config.model_validate({
        "name": "mine", "objective": "cellpose-sam", "schedule": {"steps": 2, "batch": 1, "rate": 1e-4},
        "sources": [{"name": "x", "path": "x"}], "settings": {"initial": "tiny.safetensors", **settings},
    })  # fmt: skip
    labels = np.zeros((256, 256), np.int32)
    for n in range(9):
        y, x = divmod(n, 3)
        labels[40 + 70 * y : 70 + 70 * y, 40 + 70 * x : 70 + 70 * x] = n + 1
    flows = np.round(np.moveaxis(flows_of(labels), 0, -1) * 127).astype(np.int8)
    pixels = np.where(labels[..., None] > 0, 90, 220).astype(np.uint8).repeat(3, axis=2)
    one = Prepared("x/a", "x/a", "x", pixels, labels, flows, pixels.reshape(-1, 3)[::97], (256, 256))
    sets: Sets = {"train": [one], "watch": [one], "test": []}
    return find("cellpose-sam").objective(config, sets, root)


@pytest.mark.parametrize("frozen", [True, False])
def test_gradients_come_to_what_is_learned(root: Path, frozen: bool) -> None:
    learned = learning(root, frozen=frozen, layer_drop=0.0)
    network = learned.network().train()
    (part,) = learned.parts(learned.batch(0), 1, torch.device("cpu"))
    learned.loss(network, part).backward()
    assert bool(network.out.weight.grad.any())
    assert all((one.grad is None) == frozen for one in network.encoder.blocks.parameters())
    assert all(one.grad is None for one in network.encoder.patch_embed.parameters())


def test_blocks_are_left_out_by_the_step_alone(root: Path) -> None:
    learned = learning(root, layer_drop=0.9)
    network = learned.network().train()
    kept = torch.cat([learned.batch(step).is_kept for step in range(16)])
    assert kept[:, 0].all()
    assert not kept[:, -1].all()
    batch = next(batch for batch in map(learned.batch, range(16)) if not batch.is_kept[:, -1].any())
    with torch.no_grad():
        short = float(learned.loss(network, batch))
        network.encoder.blocks = network.encoder.blocks[:1]
        assert float(learned.loss(network, batch)) == pytest.approx(short, rel=1e-5)


def test_what_was_learned_is_a_file_that_the_segmenter_reads(root: Path, tmp_path: Path) -> None:
    network = learning(root).network()
    (tmp_path / "mine.safetensors").write_bytes(halves({n: t.numpy() for n, t in network.state_dict().items()}))
    assert len(cellpose_sam.read_network(tmp_path / "mine.safetensors").encoder.blocks) == BLOCKS


def test_watched_images_are_seen_in_whole_crops(root: Path) -> None:
    learned = learning(root)
    assert set(learned.watch(learned.network().eval())) == {"score", "f1 x"}
