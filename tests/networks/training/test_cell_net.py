"""A network of ours that describes cells: trained, added, and what it says is what the network plainly says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from morula.common.arrays import read_array
from morula.common.compute import Processors, Slot
from morula.common.errors import InvalidArgument, ModelUnavailable
from morula.common.models import ModelSpec, add_rows, find
from morula.common.testing import fake_shard, running, temporary_store
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS
from morula.embedder.crops import Windows
from morula.embedder.servicer import EmbedderServicer
from morula.networks import cell_net_files
from morula.networks.cell_net import CellNet
from morula.networks.cell_net_runtimes import cell_net
from morula.networks.crop_queue import CropQueue
from morula.networks.devices import fast_dtype
from morula.networks.dtypes import Dtype, Runtime
from morula.networks.models import Models
from morula.networks.network import computing_in
from morula.onebox.embedding import embed
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add, add_trained
from morula.training.run import train
from morula.v1 import artifact_pb2, embedder_pb2_grpc
from tests.contract.test_embedder import request_for
from tests.networks.training.discs import CONFIG, write_discs
from tests.unit.embedder.test_crops import cells_of, two_cells

WIDTHS, DIMENSIONS, CROP_PX, DIAMETER_PX = (8, 16, 24), 12, 32, 17.0
TOLD = {"diam_mean": torch.tensor([DIAMETER_PX]), "crop_px": torch.tensor([float(CROP_PX)])}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps."""
    root = tmp_path_factory.mktemp("cells")
    config = write_discs(root)
    text = CONFIG.replace('"flows"', '"cell-crops"').replace("steps = 8, batch = 4", "steps = 2, batch = 8")
    own = f"crop_px = {CROP_PX}, widths = {list(WIDTHS)}, dimension_count = {DIMENSIONS}"
    config.write_text(text.replace("crop_px = 64, widths = [4, 8]", own).replace("watch_every = 4", "watch_every = 2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MORULA_DATA", raising=False)
        train(config, root / "run", lambda _: None)
    return root / "run"


def plain(trained: Path) -> CellNet:
    network = CellNet(WIDTHS, DIMENSIONS)
    state = safetensors.torch.load_file(trained / "tiny.safetensors")
    network.load_state_dict({name: tensor.float() for name, tensor in state.items() if name not in TOLD})
    return network.eval()


def said(network: CellNet, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of crops that are shown one by one, each vector of length one."""
    with torch.inference_mode():
        vectors = torch.cat([network(torch.from_numpy(picture[None] / np.float32(255))) for picture in pictures])
    return np.asarray(torch.nn.functional.normalize(vectors, dim=1).numpy())


@pytest.fixture
def spec(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setattr("morula.common.models._added", {})
    spec = add_trained(DataFolder(tmp_path), {"network": trained / "tiny.onnx"}, trained / "tiny.json")
    add_rows([spec])
    return spec


def test_its_row_is_what_its_file_and_its_card_say(spec: ModelSpec) -> None:
    assert (spec.name, spec.task, spec.family, spec.object_um) == ("tiny", "embedder", "cell-net", 9.0)
    assert spec.channels == ("red", "green", "blue", "mask")
    assert len(spec.columns) == DIMENSIONS
    assert spec.window_um == pytest.approx(CROP_PX * 9.0 / DIAMETER_PX)
    assert spec.description.commercial == "yes"


async def test_cells_of_a_slide_have_the_vectors_of_the_network(
    trained: Path, spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[NDArray[np.uint8]] = []
    draw = Windows.__call__
    monkeypatch.setattr(Windows, "__call__", lambda self, rows: shown.append(draw(self, rows)) or shown[-1])
    models = Models("embedder", MODELS, WeightsFolder(tmp_path / "weights"), device="cpu", processors=Processors(1))
    shard = fake_shard()
    with temporary_store() as store:
        async with running(EmbedderServicer(store, Slot("embedder"), models)) as channel:
            request = request_for(store, shard)
            request.model.CopyFrom(artifact_pb2.ModelRef(name="tiny", revision=find("tiny", "embedder").revision))
            request.numerics.dtype = "float32"
            made = await embedder_pb2_grpc.EmbedderServiceStub(channel).EmbedCells(request)
        vectors = read_array(store.get(made.vectors.key)).astype(np.float32)
    models.close()
    assert vectors.shape == (len(shard.nuclei.x_px), DIMENSIONS)
    pictures = np.concatenate(shown)
    assert pictures.shape == (len(vectors), 4, CROP_PX, CROP_PX)
    assert (pictures[:, 3, CROP_PX // 2, CROP_PX // 2] == 255).all()
    assert np.abs(vectors - said(plain(trained), pictures)).max() < 2e-3


def test_images_of_single_cells_are_shown_at_their_scale(trained: Path, spec: ModelSpec, tmp_path: Path) -> None:
    source, images = tmp_path / "images", []
    source.mkdir()
    for n, side in enumerate((21, 40, 61)):
        rgb = np.random.default_rng(n).integers(0, 256, (side, side, 3), np.uint8)
        cv2.imwrite(str(source / f"{n}.png"), rgb[..., ::-1])
        images.append(rgb)
    done = embed(source, tmp_path / "out", DataFolder(tmp_path), spec.name, 0.25, lambda *_: None)
    assert (done.count, done.dimension_count, done.errors) == (3, DIMENSIONS, [])
    whole = [cells_of(rgb, np.ones(rgb.shape[:2], np.int32), 0.25) for rgb in images]
    ways = [Windows(cells, spec.window_um, CROP_PX, fades=False, masks=True) for cells in whole]
    pictures = np.concatenate([way(np.zeros(1, np.int64)) for way in ways])
    assert (pictures[:, 3] == 255).all()
    vectors = np.load(tmp_path / "out" / "vectors.npy")
    bound = 1e-4 if fast_dtype() == "float32" else 0.1
    assert np.abs(vectors - said(plain(trained), pictures)).max() < bound


def test_the_mask_is_the_cells_own() -> None:
    cells = two_cells()
    pictures = Windows(cells, 20, 40, fades=False, masks=True)(np.arange(2))
    for picture, tone in zip(pictures, (90, 20), strict=True):
        assert set(np.unique(picture[3])) == {0, 255}
        inside = cv2.erode(picture[3], np.ones((3, 3))) > 0
        assert inside.sum() > 50
        assert (picture[0][inside] == tone).all()
    assert np.array_equal(pictures[:, :3], Windows(cells, 20, 40, fades=False)(np.arange(2)))


@pytest.mark.parametrize(
    ("runtime", "dtype", "bound"),
    [("openvino", "float32", 1e-4), ("torch", "float32", 1e-4), ("openvino", "bfloat16", 0.1)],
)
def test_every_runtime_says_the_same(trained: Path, runtime: Runtime, dtype: Dtype, bound: float) -> None:
    if dtype not in ("float32", fast_dtype()):
        pytest.skip("this processor does not compute in bfloat16")
    crops = np.random.default_rng(1).integers(0, 256, (5, 4, CROP_PX, CROP_PX), np.uint8)
    crops[:, 3] = np.where(crops[:, 3] > 128, 255, 0)
    crops[4, 3] = 0
    queue = CropQueue("cpu", processors=Processors(1))
    network = cell_net(cell_net_files.read(trained / "tiny.onnx"), "tiny", "cpu", runtime)
    try:
        vectors = queue.run(computing_in(network, dtype), crops, lambda: None).styles
    finally:
        queue.close()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(vectors / length - said(plain(trained), crops)).max() < bound


CHANGED: list[tuple[dict[str, torch.Tensor], str]] = [
    ({"vector.weight": torch.zeros(DIMENSIONS, 4)}, "in another shape vector.weight"),
    ({"other": torch.zeros(1)}, "unknown other"),
    ({"stages.0.down.bias": torch.full((WIDTHS[0],), torch.nan)}, "not finite"),
    ({"crop_px": torch.tensor([33.0])}, "no multiple of 8"),
    ({"crop_px": torch.tensor([0.0])}, "no multiple of 8"),
    ({"diam_mean": torch.tensor([0.0])}, "a diameter of 0 px"),
]


@pytest.mark.parametrize(("changed", "says"), CHANGED)
def test_every_tensor_is_checked(changed: dict[str, torch.Tensor], says: str, tmp_path: Path) -> None:
    state = {**CellNet(WIDTHS, DIMENSIONS).state_dict(), **TOLD, **changed}
    safetensors.torch.save_file(state, tmp_path / "changed.safetensors")
    with pytest.raises(ModelUnavailable, match=says):
        add(DataFolder(tmp_path), "cell-net", [tmp_path / "changed.safetensors"], None, Wishes())


@pytest.mark.parametrize(
    ("left", "says"), [("vector.weight", "it has no 'vector.weight'"), ("crop_px", "lacks crop_px")]
)
def test_what_is_missing_is_named(left: str, says: str, tmp_path: Path) -> None:
    state = {**CellNet(WIDTHS, DIMENSIONS).state_dict(), **TOLD}
    safetensors.torch.save_file({n: t for n, t in state.items() if n != left}, tmp_path / "less.safetensors")
    with pytest.raises(ModelUnavailable, match=says):
        add(DataFolder(tmp_path), "cell-net", [tmp_path / "less.safetensors"], None, Wishes())


def test_it_shows_cells_as_it_learned(trained: Path, tmp_path: Path) -> None:
    file, folder = trained / "tiny.onnx", DataFolder(tmp_path)
    with pytest.raises(InvalidArgument, match="as it saw them when it learned"):
        add(folder, "cell-net", [file], None, Wishes("mine", window_um=24.0))
    with pytest.raises(ModelUnavailable, match="one file, not 2"):
        add(folder, "cell-net", [file, file], None, Wishes())
    with pytest.raises(WrongUse):
        add(folder, "cell-net", [tmp_path / "none.onnx"], None, Wishes())
    assert add(folder, "cell-net", [file], None, Wishes(object_um=DIAMETER_PX)).window_um == CROP_PX
