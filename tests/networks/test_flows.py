"""What is shared by all networks of flows: another backend is one function, and everything after it is there."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, Processors, go_on
from morula.common.errors import ModelUnavailable
from morula.common.models import FAMILIES, ModelSpec
from morula.common.weights import WeightsFolder
from morula.networks.crop_queue import CropQueue
from morula.networks.installed import INSTALL
from morula.networks.models import Models
from morula.networks.network import Answer, Batch
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Wanted
from morula.segmenter.params import DEFAULTS, FlowParams
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed

from morula.segmenter.crop_backend import CropBackend, Traits  # noqa: E402
from morula.segmenter.flows import FlowModel, Flows  # noqa: E402
from morula.segmenter.instanseg import InstanSeg  # noqa: E402

UNET = Path(__file__).parents[1] / "oracles" / "unet_narrow.pth"
RAW = FlowParams(normalize="none")
ROW = {row.name: row for row in FAMILIES}


@pytest.mark.parametrize("family", ["cellpose-sam", "cellpose-unet", "instanseg"])
def test_what_is_told_as_defaults_is_what_networks_do(family: str) -> None:
    told = ROW[family].defaults
    named = ("flow_threshold", "cellprob_threshold", "max_size_fraction", "normalize", "augment")
    assert all(told[name] == getattr(DEFAULTS, name) for name in named if name in told)
    assert told["min_area_um2"] == DEFAULTS.min_size * ROW[family].mpp ** 2
    assert told["channels"] == ROW[family].channels


class Downhill:
    """A whole backend: everything dark is an object, and all of its pixels are drawn to where it is darkest."""

    def infer(self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> Flows:
        dark = 255 - pixels.astype(np.float32).mean(axis=2)
        slope = np.stack(np.gradient(dark))
        unit = slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-3)
        return Flows((5 * unit).astype(np.float32), (dark - 60) / 10, np.empty(0, np.float32))

    def first_diameter_um(self, pixels: object, mpp: float, wanted: Wanted, checkpoint: Checkpoint) -> float:
        return 12.0


def cones() -> NDArray[np.uint8]:
    y, x = np.mgrid[:80, :120]
    away = np.minimum(np.hypot(x - 30, y - 40), np.hypot(x - 80, y - 40))
    return np.repeat(np.clip(80 + away * 8, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


def test_another_backend_is_one_function() -> None:
    model = FlowModel(Downhill())
    found = model(cones(), 0.5, Wanted())
    assert found.labels.max() == found.scores.size == 2
    assert found.labels[40, 30] != found.labels[40, 80] > 0
    assert ((found.scores > 0.8) & (found.scores <= 1)).all()
    assert model.sized(cones(), 0.5, Wanted(), go_on).diameter_um == 12
    assert model.sized(cones(), 0.5, Wanted(diameter_um=7), go_on).diameter_um == 7


def test_parameters_reach_the_objects() -> None:
    model = FlowModel(Downhill())
    small = model(cones(), 0.5, Wanted(flows=FlowParams(cellprob_threshold=8)))
    assert 0 < (small.labels > 0).sum() < (model(cones(), 0.5, Wanted()).labels > 0).sum()
    assert model(cones(), 0.5, Wanted(min_area_um2=2000)).labels.max() == 0
    assert model(cones(), 0.5, Wanted(flows=FlowParams(flow_threshold=1e-6))).labels.max() == 0


class LessItsMean:
    """A network that, by what it sees of a whole crop, thinks differently of each of its pixels."""

    name = "less its mean"

    def __call__(self, batch: Batch) -> Answer:
        crops = batch.packed()[: batch.filled]
        mean = crops.mean(axis=(1, 2, 3), keepdims=True)
        return Answer(np.repeat(crops - mean, 3, axis=1), mean[:, :, 0, 0])


def test_a_part_of_an_even_image_is_even_at_its_frame() -> None:
    queue = CropQueue("cpu")
    backend = CropBackend([LessItsMean()], Traits(64, ("red",), 30.0, fills_crops=False), queue)
    pixels = np.full((90, 120, 3), 200, np.uint8)
    try:
        uneven, even = (
            np.ptp(backend.infer(pixels, 0.5, wanted, go_on).probability)
            for wanted in (Wanted(flows=RAW), Wanted(flows=RAW, is_part=True))
        )
    finally:
        queue.close()
    assert even < 1e-3 < uneven


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    weights = WeightsFolder(tmp_path / "weights")
    weights.add(ROW["cellpose-unet"], [("network", UNET)])
    return weights


def test_rows_of_added_files_are_models(folder: WeightsFolder) -> None:
    models = Models("segmenter", MODELS, folder, device="cpu", processors=Processors(1))
    assert set(models) == {"watershed", "imported", "morula-nuclei", "cellpose-unet"}
    assert len(models) == 4
    random = np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    for _ in range(2):
        assert models["cellpose-unet"](random, 0.5, Wanted()).labels.shape == (40, 30)
    assert models.check()
    models.close()


def test_a_new_family_is_one_file_and_one_row(folder: WeightsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of this test has `load`; the rest of it is not needed."""
    row = replace(ROW["cellpose-unet"], name="mine", family="down-hill")
    monkeypatch.setattr("morula.common.models.FAMILIES", (*FAMILIES, row))
    monkeypatch.setitem(sys.modules, "morula.segmenter.down_hill", SimpleNamespace(load=load))
    folder.add(row, [("network", UNET)])
    models = Models("segmenter", MODELS, folder, device="cpu", processors=Processors(1))
    assert models["mine"](cones(), 0.5, Wanted()).labels.max() == 2
    models.close()


def load(spec: ModelSpec, files: object, queue: object) -> FlowModel:
    return FlowModel(Downhill())


def test_without_torch_a_network_says_what_to_install(folder: WeightsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    models = Models("segmenter", MODELS, folder)
    with pytest.raises(ModelUnavailable, match=re.escape(INSTALL)):
        models["cellpose-unet"](cones(), 0.5, Wanted())


class Squares(torch.nn.Module):
    """Labels as InstanSeg gives them: (batch, 1, height, width), floats."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        labels = torch.zeros_like(x[:, :1])
        labels[:, :, 2:9, 2:9] = 1.0
        labels[:, :, 12:15, 12:15] = 7.0
        return labels


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_labels_of_instanseg_are_the_instances() -> None:
    queue = CropQueue("cpu", processors=Processors(1))
    model = InstanSeg(torch.jit.script(Squares()), ROW["instanseg"], queue)
    found = model(np.zeros((50, 70, 3), np.uint8), 0.5, Wanted())
    assert found.labels.shape == (50, 70)
    assert (found.labels == 1).sum() == 49
    assert found.labels.max() == found.scores.size == 1
    finer = model(np.zeros((100, 140, 3), np.uint8), 0.25, Wanted(flows=FlowParams(min_size=1)))
    assert (finer.labels == 1).sum() == 4 * 49
    assert (finer.labels == 2).sum() == 4 * 9
    queue.close()
