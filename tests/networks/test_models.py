"""`morula models`: what an operator adds is checked first, and is there afterwards."""

from dataclasses import replace
from pathlib import Path

import pytest

from morula.common.errors import ModelUnavailable
from morula.common.models import FAMILIES
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add, registry
from tests.servers.require import networks

networks()

ORACLES = Path(__file__).parents[1] / "oracles"
UNET, SIZE = ORACLES / "unet_narrow.pth", ORACLES / "size_narrow.safetensors"


def test_an_added_network_is_in_the_registry(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    spec = add(folder, "cellpose-unet", [UNET, UNET], SIZE, Wishes(name="mine", mpp=0.25, channels=("gray", "none")))
    assert spec in registry(folder)
    assert (spec.name, spec.family, spec.mpp) == ("mine", "cellpose-unet", 0.25)
    assert [role for role, _ in spec.files] == ["network", "network", "size"]
    one = add(folder, "cellpose-unet", [UNET], None, Wishes())
    assert one.revision != spec.revision
    assert {"mine", "cellpose-unet", "watershed"} <= {row.name for row in registry(folder)}


@pytest.mark.parametrize("family", ["cellpose-unet", "cellpose-sam", "instanseg"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, family: str) -> None:
    folder = DataFolder(tmp_path)
    with pytest.raises(ModelUnavailable):
        add(folder, family, [SIZE], None, Wishes())
    assert not folder.weights.exists()


def test_a_network_does_not_take_the_place_of_one_of_another_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder(tmp_path)
    segmenter = add(folder, "cellpose-unet", [UNET], None, Wishes(name="mine"))
    embedders = [replace(row, task="embedder") for row in FAMILIES]
    monkeypatch.setattr("morula.common.models.FAMILIES", embedders)
    with pytest.raises(WrongUse, match="--as"):
        add(folder, "cellpose-unet", [UNET], None, Wishes(name="mine"))
    assert segmenter in registry(folder)


@pytest.mark.parametrize(
    ("family", "file", "name"),
    [
        ("stardist", UNET, None),
        ("cellpose-unet", Path("/nowhere"), None),
        ("cellpose-unet", UNET, "watershed"),
        ("cellpose-unet", UNET, "../mine"),
    ],
)
def test_wrong_use_is_said_plainly(tmp_path: Path, family: str, file: Path, name: str | None) -> None:
    with pytest.raises(WrongUse):
        add(DataFolder(tmp_path), family, [file], None, Wishes(name=name))
