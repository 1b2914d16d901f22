"""The network that ships: its files are those of its row, it needs no torch, and it finds the nuclei of a tile."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from morula.common.errors import ModelUnavailable
from morula.common.models import find
from morula.common.testing import draw_tissue
from morula.evaluator.shape_scores import scores
from morula.evaluator.shapes import overlap
from morula.networks import shipped
from morula.networks.models import Models
from morula.onebox.segmenting import range_of
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from morula.synth.noise import Window
from morula.synth.slide import Artist, Order

MORULA_NUCLEI = find("morula-nuclei", "segmenter")
SIDE_PX, SEED, MPP = 512, 770_020, 0.5


def test_every_network_that_is_always_there_has_its_files_and_a_card() -> None:
    rows = shipped.rows("segmenter")
    assert MORULA_NUCLEI in rows
    for row in rows:
        assert dict(row.files).keys() == {role for role, path in shipped.files(row) if path.stat().st_size}
        assert (shipped.FOLDER / f"{row.name}.md").is_file()
    assert sum(path.stat().st_size for path in shipped.FOLDER.iterdir()) <= 14_000_000


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-1]), Path.unlink])
def test_weights_that_are_not_those_of_the_row_are_not_run(
    damage: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = shutil.copytree(shipped.FOLDER, tmp_path / "shipped")
    monkeypatch.setattr(shipped, "FOLDER", copied)
    damage(next(copied.glob("morula-nuclei.network.*")))  # type: ignore[operator]
    models = Models("segmenter", MODELS, device="cpu")
    with pytest.raises(ModelUnavailable, match=r"network file|damaged"):
        models["morula-nuclei"]
    models.close()


def test_it_finds_the_nuclei_of_tissue_that_it_never_saw_as_the_classical_segmenter_does_not() -> None:
    artist = Artist(Order(4 * SIDE_PX, 4 * SIDE_PX, SEED, MPP))
    block = artist.block(Window(SIDE_PX, SIDE_PX, 2 * SIDE_PX, 2 * SIDE_PX))
    true = np.unique(block.instances, return_inverse=True)[1].reshape(block.instances.shape).astype(np.int32)
    models = Models("segmenter", MODELS, device="cpu")
    wanted = Wanted(calibration=range_of(block.rgb), flows=FlowParams(normalize="image"))
    try:
        found = {name: models[name](block.rgb, MPP, wanted).labels for name in ("morula-nuclei", "watershed")}
    finally:
        models.close()
    f1 = {name: scores([overlap(true, labels)])["f1_0.5"] for name, labels in found.items()}
    assert f1["morula-nuclei"] > max(0.7, f1["watershed"]), f1


def test_it_finds_smooth_nuclei_too() -> None:
    """Weights that had learned from painted red cells in all colours took every smooth disc for one."""
    picture, nuclei = draw_tissue(400, 400, seed=4)
    models = Models("segmenter", MODELS, device="cpu")
    try:
        found = models["morula-nuclei"](picture, MPP, Wanted(flows=FlowParams(normalize="image"))).labels
    finally:
        models.close()
    assert scores([overlap(nuclei.label, found)])["f1_0.5"] > 0.8
