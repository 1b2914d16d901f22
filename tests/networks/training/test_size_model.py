"""The size model: learned from styles, told in um whatever scale the network saw the image at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from morula.common.compute import go_on
from morula.common.models import families
from morula.networks import unet_files
from morula.networks.crop_queue import CropQueue
from morula.networks.unet import UNet
from morula.networks.unet_shape import UNetConfig
from morula.segmenter import cellpose_unet
from morula.segmenter.instances import Wanted
from morula.training.size_model import fit, predicted


def test_sizes_that_styles_tell_are_learned() -> None:
    rng = np.random.default_rng(0)
    styles = rng.standard_normal((300, 16)).astype(np.float32)
    styles /= np.linalg.norm(styles, axis=1, keepdims=True)
    logs = 3 * styles[:, 2] + 0.4 + rng.normal(0, 0.05, 300)
    model = fit(logs[:200], styles[:200], 17.0)
    assert np.abs(predicted(model, styles[200:]) - logs[200:]).mean() < 0.15 * np.abs(logs[200:] - logs.mean()).mean()


def test_the_size_is_that_of_the_image_not_of_what_the_network_saw(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = UNet(UNetConfig(3, (4, 8)))
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    unet_files.write({**state, "diam_mean": np.array([17.0], np.float32)}, tmp_path / "network.onnx")
    told = {"A": np.zeros(8), "smean": np.zeros(8), "ymean": np.log(20 / 17), "diam_mean": np.array(17.0)}
    safetensors.numpy.save_file(
        {name: np.asarray(v, np.float32) for name, v in told.items()}, tmp_path / "size.safetensors"
    )
    spec = replace(families()["cellpose-unet"], channels=("red", "green", "blue"), object_um=9.0)
    queue = CropQueue("cpu")
    try:
        files = [("network", tmp_path / "network.onnx"), ("size", tmp_path / "size.safetensors")]
        model = cellpose_unet.load(spec, files, queue)
        pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        # Objects of 9 um are shown at 17 px: at 0.5 um per px the image is made 0.944 times as large.
        assert model.sized(pixels, 0.5, Wanted(), go_on).diameter_um == pytest.approx(20 * 0.5 / (17 * 0.5 / 9))
    finally:
        queue.close()
