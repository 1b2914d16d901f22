"""Files of weights are checked tensor by tensor, and nothing but tensors is read from them."""

import os
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest

from morula.common.errors import ModelUnavailable
from morula.common.models import FAMILIES, add_rows, find, rows
from morula.common.weights import WeightsFolder
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from morula.networks import unet_files  # noqa: E402
from morula.networks.files import DIAMETER, check, read_state  # noqa: E402
from morula.networks.unet import UNet  # noqa: E402
from morula.networks.unet_shape import UNetConfig  # noqa: E402
from morula.segmenter.cellpose_unet import read_size_model  # noqa: E402

ROW = next(row for row in FAMILIES if row.name == "cellpose-unet")


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.touched),)


def state() -> dict[str, torch.Tensor]:
    return UNet(UNetConfig(widths=(2, 4))).state_dict()


def write(path: Path) -> Path:
    """The network in the form that the file's name says."""
    if path.suffix == ".safetensors":
        save_file(state(), path)
    elif path.suffix == ".onnx":
        unet_files.write({name: tensor.numpy() for name, tensor in state().items()}, path)
    else:
        torch.save(state(), path)
    return path


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickle_bomb_is_never_unpickled(tmp_path: Path, form: str) -> None:
    bomb, touched = tmp_path / "bomb.pth", tmp_path / "touched"
    content = {"weights": Bomb(touched)}
    if form == "torch":
        torch.save(content, bomb)
    else:
        bomb.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ModelUnavailable, match="safely"):
        read_state(bomb)
    assert not touched.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".onnx", ""])
@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"weights{suffix}"
    write(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelUnavailable):
        unet_files.read(path)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_all_forms_are_read_and_names_of_trained_copies_are_plain(tmp_path: Path, kind: torch.dtype) -> None:
    """Also weights of half precision, of which single precision is made."""
    network = {name: tensor.to(kind) for name, tensor in state().items() if tensor.is_floating_point()}
    torch.save({f"module.{name}": tensor for name, tensor in network.items()}, tmp_path / "a")
    save_file(network, tmp_path / "a.safetensors")
    for path in tmp_path.iterdir():
        read = unet_files.read(path)
        assert read.keys() == network.keys()
        assert all(np.array_equal(read[name], tensor.float().numpy()) for name, tensor in network.items())


def test_a_graph_holds_its_weights_in_half_precision(tmp_path: Path) -> None:
    network = unet_files.read(write(tmp_path / "a.pth"))
    unet_files.write(network, tmp_path / "a.onnx")
    read = unet_files.read(tmp_path / "a.onnx")
    assert read.keys() == network.keys() - {"diam_labels"}
    assert all(np.allclose(read[name], network[name], rtol=1e-3, atol=1e-7) for name in read)
    assert read[DIAMETER] == network[DIAMETER]
    network["output.0.running_var"][:] = 1e6
    with pytest.raises(ModelUnavailable, match="running_var are too large"):
        unet_files.write(network, tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()


def outside() -> onnx.TensorProto:
    tensor = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "a")
    onnx.external_data_helper.set_external_data(tensor, "elsewhere")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    return tensor


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (outside(), "lie in other files"),
        (onnx.numpy_helper.from_array(np.array(["a"], object), "a"), "no real numbers"),
        (onnx.numpy_helper.from_array(np.zeros(1, np.complex64), "a"), "no real numbers"),
    ],
    ids=["of another file", "of text", "complex"],
)
def test_a_graph_has_its_numbers_inside(tensor: onnx.TensorProto, says: str, tmp_path: Path) -> None:
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor])), tmp_path / "a.onnx")
    with pytest.raises(ModelUnavailable, match=says):
        read_state(tmp_path / "a.onnx")


def test_numbers_that_numpy_does_not_know_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1).to(torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelUnavailable, match="safely"):
        read_state(tmp_path / "a.safetensors")


def test_only_sizes_may_be_missing(tmp_path: Path) -> None:
    network = state()
    del network["diam_mean"], network["diam_labels"]
    torch.save(network, tmp_path / "old.pth")
    assert unet_files.read(tmp_path / "old.pth")[DIAMETER] == 30.0


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "finite", "variance"])
def test_every_tensor_is_checked(fault: str) -> None:
    given = {name: np.zeros(2, np.float32) for name in ("bias", "running_var")} | {
        "weight": np.zeros((2, 3), np.float32)
    }
    shapes = {name: array.shape for name, array in given.items()}
    if fault == "missing":
        del given["bias"]
    elif fault == "unknown":
        given["more"] = np.zeros(1, np.float32)
    elif fault == "shape":
        given["weight"] = np.zeros((3, 2), np.float32)
    elif fault == "variance":
        given["running_var"][1] = -1
    else:
        given["bias"] = np.full(2, np.nan, np.float32)
    with pytest.raises(ModelUnavailable):
        check(given, shapes)


def test_another_network_is_no_unet(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ModelUnavailable, match="no Cellpose U-Net"):
        unet_files.read(tmp_path / "other.pth")
    with pytest.raises(ModelUnavailable, match="no size model"):
        read_size_model(tmp_path / "other.pth")


def test_a_file_that_is_added_is_a_row_of_its_own(tmp_path: Path) -> None:
    file, folder = tmp_path / "mine.pth", WeightsFolder(tmp_path / "weights")
    torch.save(state(), file)
    added = folder.add(ROW, [("network", file)])
    assert folder.rows() == [added]
    ((role, path),) = folder.files(added)
    assert role == "network"
    assert unet_files.read(path)
    path.write_bytes(b"other bytes")
    with pytest.raises(ModelUnavailable, match="changed or damaged"):
        folder.files(added)
    path.unlink()
    with pytest.raises(ModelUnavailable, match="is not in"):
        folder.files(added)


def test_a_family_without_its_file_says_how_to_add_it() -> None:
    with pytest.raises(ModelUnavailable, match="morula models add cellpose-sam FILE"):
        find("cellpose-sam", "segmenter")


def test_a_row_that_is_always_there_keeps_its_name() -> None:
    with pytest.raises(ValueError, match="watershed"):
        add_rows([find("watershed", "segmenter")])
    assert len({(row.task, row.name) for row in rows()}) == len(rows())
