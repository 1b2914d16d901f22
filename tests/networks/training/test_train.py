"""`morula train` from images to a model that segments: stopped on the way, it goes on as if it had not been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy

from morula.common.compute import go_on
from morula.common.errors import FailedPrecondition, InvalidArgument
from morula.common.weights import WeightsFolder
from morula.networks.models import Models, check_files
from morula.onebox.folder import DataFolder
from morula.onebox.images import read_image, read_labels
from morula.onebox.models import add_trained
from morula.onebox.segmenting import USUAL_MPP, segment
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from morula.training import checkpoint, progress
from morula.training.config import read_config
from morula.training.engine import BEST
from morula.training.objectives import Sets, find
from morula.training.run import train
from tests.networks.training.discs import CONFIG, write_discs


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs"))


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MORULA_DATA", raising=False)
        train(config, folder, lambda _: None)
    return folder


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in progress.read(folder) if "loss" in line]


def test_it_ends_with_files_that_the_segmenter_takes_and_a_card(whole: Path, tmp_path: Path) -> None:
    files = {"network": whole / "tiny.onnx", "size": whole / "tiny.size.safetensors"}
    folder = DataFolder(tmp_path)
    spec = add_trained(folder, files, whole / "tiny.json")
    check_files(spec, list(files.items()))
    assert (spec.name, spec.object_um, spec.channels) == ("tiny", 9.0, ("red", "green", "blue"))
    assert spec.measures_objects
    assert spec.description.commercial == "yes"
    said = json.loads((whole / "tiny.json").read_text())
    assert said["held_out_groups"] == {"watch": ["mine/4"], "test": ["mine/5"]}
    assert said["images"]["train"] == {"mine": {"images": 4, "objects": 36}}
    assert set(said["scores"]) == {
        "scale known, objects of 9 um",
        "scale unknown, in two passes",
        "scale unknown, by the size model",
    }
    assert all(len(points) > 3 for points in said["robustness"].values())
    assert said["files"].keys() == {"tiny.safetensors", "tiny.onnx", "tiny.size.safetensors"}
    text = (whole / "tiny.md").read_text()
    assert "| mine | CC0-1.0 |  |" in text
    assert said["files"]["tiny.safetensors"] in text
    assert cv2.imread(str(whole / "tiny.jpg")).shape == (256 + 18, 3 * 256, 3)
    assert (whole / "tiny.svg").read_text().count("<polyline") == 3


def test_a_run_that_was_told_to_stop_goes_on_with_the_same_losses(config: Path, whole: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "morula.cli", "train", str(config), "--out", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "MORULA_DATA"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        while running.poll() is None and len(losses(tmp_path)) < 2:
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        said = running.communicate()[0]
    assert running.returncode == 0
    assert 2 <= len(losses(tmp_path)) < 8
    assert "the same command goes on" in said
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MORULA_DATA", raising=False)
        train(config, tmp_path, lambda _: None)
    assert losses(tmp_path) == losses(whole)
    for name in ("tiny.safetensors", "tiny.onnx"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_a_run_can_be_finished_with_the_best_weights_so_far(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MORULA_DATA", raising=False)
    with pytest.raises(FailedPrecondition, match="before anything chose"):
        train(config, tmp_path, lambda _: None, learns=False)
    shorter = config.with_name("shorter.toml")
    shorter.write_text(CONFIG.replace("steps = 8", "steps = 5"))
    train(shorter, tmp_path, lambda _: None)
    (tmp_path / "tiny.md").unlink()
    trained = train(config, tmp_path, lambda _: None, learns=False)
    assert (trained.outcome.end, trained.outcome.step) == ("stopped", 5)
    assert len(losses(tmp_path)) == 5
    assert trained.files["network"].is_file()
    assert "5 steps" in (tmp_path / "tiny.md").read_text()


def test_a_killed_run_is_finished_with_weights_from_after_its_last_checkpoint(
    config: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be no checkpoint yet, as where one is written less often than the watched groups are looked at."""
    monkeypatch.delenv("MORULA_DATA", raising=False)
    shutil.copy(whole / BEST, tmp_path)
    shutil.copy(whole / "progress.jsonl", tmp_path)
    train(config, tmp_path, lambda _: None, learns=False)
    chosen, known = (json.loads((folder / "tiny.json").read_text())["trained"] for folder in (tmp_path, whole))
    assert (chosen["best_step"], chosen["watched_score"]) == (known["best_step"], known["watched_score"])
    assert chosen["steps"] == known["best_step"]


def test_a_network_learns_on_from_its_own_file(whole: Path, tmp_path: Path) -> None:
    text = CONFIG.replace("widths", 'initial = "tiny.onnx", holds_norms = true, widths')
    (tmp_path / "more.toml").write_text(text)
    nothing: Sets = {"train": [], "watch": [], "test": []}
    network = find("flows").objective(read_config(tmp_path / "more.toml"), nothing, whole).network()
    before = safetensors.numpy.load_file(whole / "tiny.safetensors")
    after = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    assert all(np.array_equal(after[name], before[name].astype(np.float32)) for name in before if "num_" not in name)


@pytest.mark.parametrize("watch", ['["mine/4"]', "[]"])
def test_a_run_whose_weights_nothing_would_choose_does_not_begin(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: str
) -> None:
    monkeypatch.delenv("MORULA_DATA", raising=False)
    labels = tmp_path / "images" / "labels"
    shutil.copytree(config.parent / "images", tmp_path / "images")
    assert cv2.imwrite(str(labels / "4.png"), np.zeros((96, 96), np.uint16))
    (tmp_path / "tiny.toml").write_text(CONFIG.replace('["mine/4"]', watch))
    with pytest.raises(InvalidArgument, match="nothing would choose the weights"):
        train(tmp_path / "tiny.toml", tmp_path / "run", lambda _: None)
    assert not progress.read(tmp_path / "run")


def test_a_run_that_ended_without_weights_is_told(
    config: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MORULA_DATA", raising=False)
    shutil.copy(whole / checkpoint.NAME, tmp_path)
    with pytest.raises(FailedPrecondition, match="before anything chose"):
        train(config, tmp_path, lambda _: None)


def test_objects_of_another_size_take_another_folder(
    config: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MORULA_DATA", raising=False)
    shutil.copy(whole / checkpoint.NAME, tmp_path)
    larger = config.with_name("larger.toml")
    larger.write_text(CONFIG.replace("crop_px", "diameter_px = 30, crop_px"))
    with pytest.raises(FailedPrecondition, match=r"diameter_px was 17\.0"):
        train(larger, tmp_path, lambda _: None)


@pytest.mark.parametrize("objective", ["flows", "cellpose-sam"])
def test_a_file_to_learn_on_from_that_is_not_there_is_told(tmp_path: Path, objective: str) -> None:
    text = CONFIG.replace('"flows"', f'"{objective}"').replace("crop_px = 64, widths = [4, 8]", 'initial = "no.onnx"')
    (tmp_path / "more.toml").write_text(text)
    with pytest.raises(InvalidArgument, match=r"there is no file .*no\.onnx to learn on from"):
        train(tmp_path / "more.toml", tmp_path / "run", lambda _: None)


def test_a_plain_image_of_unknown_scale_is_measured_first(config: Path, whole: Path, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    files = {"network": whole / "tiny.onnx", "size": whole / "tiny.size.safetensors"}
    spec = add_trained(folder, files, whole / "tiny.json")
    models = Models("segmenter", {}, WeightsFolder(folder.weights))
    image = config.parent / "images" / "images" / "0.png"
    try:
        size = models[spec.name].sized(read_image(image), USUAL_MPP, Wanted(flows=FlowParams(normalize="image")), go_on)
    finally:
        models.close()
    loose = {"flow_threshold": 0.0, "cellprob_threshold": -9.0}
    found = {}
    for name, asked, is_known in (
        ("measured", loose, False),
        ("told", loose | {"diameter_um": size.diameter_um}, True),
        ("usual", loose, True),
    ):
        (one,) = segment(
            [image], tmp_path / name, folder, spec.name, USUAL_MPP, asked, lambda _: None, is_scale_known=is_known
        )
        assert one.labels is not None
        found[name] = read_labels(one.labels)
    assert found["measured"].any()
    assert np.array_equal(found["measured"], found["told"])
    assert not np.array_equal(found["measured"], found["usual"])
