"""Files of weights are checked tensor by tensor, and nothing but tensors is read from them."""

import os
import pickle
from pathlib import Path

import pytest

from morula.common.errors import ModelUnavailable
from morula.common.models import FAMILIES, add_rows, find, rows
from morula.common.weights import WeightsFolder
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

from morula.networks.files import load_exactly, read_state  # noqa: E402
from morula.networks.unet import UNet, UNetConfig  # noqa: E402
from morula.segmenter.cellpose_unet import read_network, read_size_model  # noqa: E402

ROW = next(row for row in FAMILIES if row.name == "cellpose-unet")


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.touched),)


def state() -> dict[str, torch.Tensor]:
    return UNet(UNetConfig(widths=(2, 4))).state_dict()


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


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ""])
@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state(), path)
    else:
        torch.save(state(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelUnavailable):
        read_network(path)


def test_both_forms_are_read_and_names_of_trained_copies_are_plain(tmp_path: Path) -> None:
    network = state()
    torch.save({f"module.{name}": tensor for name, tensor in network.items()}, tmp_path / "a")
    save_file(network, tmp_path / "a.safetensors")
    for path in tmp_path.iterdir():
        read = read_network(path).state_dict()
        assert all(torch.equal(read[name], tensor) for name, tensor in network.items())


def test_only_sizes_may_be_missing(tmp_path: Path) -> None:
    network = state()
    del network["diam_mean"], network["diam_labels"]
    torch.save(network, tmp_path / "old.pth")
    assert float(read_network(tmp_path / "old.pth").diam_mean) == 30.0


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "finite"])
def test_every_tensor_is_checked(fault: str) -> None:
    network = nn.Linear(3, 2)
    given = network.state_dict()
    if fault == "missing":
        del given["bias"]
    elif fault == "unknown":
        given["more"] = torch.zeros(1)
    elif fault == "shape":
        given["weight"] = torch.zeros(3, 2)
    else:
        given["bias"] = torch.full((2,), torch.nan)
    with pytest.raises(ModelUnavailable):
        load_exactly(network, given)


def test_another_network_is_no_unet(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "other.pth")
    with pytest.raises(ModelUnavailable, match="no Cellpose U-Net"):
        read_network(tmp_path / "other.pth")
    with pytest.raises(ModelUnavailable, match="no size model"):
        read_size_model(tmp_path / "other.pth")


def test_a_file_that_is_added_is_a_row_of_its_own(tmp_path: Path) -> None:
    file, folder = tmp_path / "mine.pth", WeightsFolder(tmp_path / "weights")
    torch.save(state(), file)
    added = folder.add(ROW, [("network", file)])
    assert folder.rows() == [added]
    ((role, path),) = folder.files(added)
    assert role == "network"
    assert read_network(path)
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
