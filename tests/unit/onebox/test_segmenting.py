"""Plain images: labels and outlines by the images' names, and scores of folders."""

import csv
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from rich.console import Console

from morula.common.errors import InvalidArgument, LicenceForbids, ModelUnavailable
from morula.common.models import FAMILIES
from morula.common.weights import WeightsFolder
from morula.gateway.pipeline.params import Choices
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.images import find_images, read_image, read_labels, write_labels
from morula.onebox.run import Request, run
from morula.onebox.scoring import score
from morula.onebox.segmenting import segment


def tissue(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    pixels = np.full((160, 200, 3), (230, 190, 215), np.uint8)
    for x, y in random.integers(20, 140, (6, 2)):
        cv2.circle(pixels, (int(x), int(y)), 8, (90, 60, 140), -1)
    return pixels


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), tissue()[..., ::-1])
    tifffile.imwrite(folder / "b.tif", tissue(1).astype(np.uint16) * 200)
    return folder


def test_images_become_labels_and_outlines(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = segment([images], out, DataFolder(tmp_path / "data"), "watershed", 0.5, {}, lambda _: None)
    assert [one.error for one in done] == ["", ""]
    for one in done:
        labels = read_labels(out / f"{one.image.stem}.png")
        outlines = json.loads((out / f"{one.image.stem}.geojson").read_text())
        assert labels.shape == (160, 200)
        assert labels.max() == one.cell_count == len(outlines["features"]) > 2
        assert outlines["features"][0]["geometry"]["type"] == "Polygon"


def test_one_that_cannot_be_read_does_not_keep_the_others(images: Path, tmp_path: Path) -> None:
    (images / "broken.png").write_bytes(b"no image")
    (images / "headless.tif").write_bytes(b"II*\0nothing")
    nan = np.full((8, 8, 3), np.nan, np.float32)
    tifffile.imwrite(images / "nan.tif", nan, photometric="rgb")
    done = segment([images], tmp_path / "out", DataFolder(tmp_path), "watershed", 0.5, {}, lambda _: None)
    errors = {one.image.name: one.error for one in done}
    assert "cannot be read as an image" in errors["broken.png"]
    assert "cannot be read as an image" in errors["headless.tif"]
    assert "not finite" in errors["nan.tif"]
    assert all(name in error for name, error in errors.items() if error), "each says which image it is about"
    assert errors["a.png"] == errors["b.tif"] == ""


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 2)])
def test_an_image_of_a_few_pixels_has_no_cells(tmp_path: Path, shape: tuple[int, int]) -> None:
    cv2.imwrite(str(tmp_path / "tiny.png"), np.full((*shape, 3), (215, 190, 230), np.uint8))
    (done,) = segment([tmp_path], tmp_path / "out", DataFolder(tmp_path), "watershed", 0.5, {}, lambda _: None)
    assert (done.error, done.cell_count) == ("", 0)
    assert read_labels(tmp_path / "out" / "tiny.png").shape == shape


def test_wrong_use(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        segment([images], tmp_path / "out", DataFolder(tmp_path), "magic", 0.5, {}, lambda _: None)
    cv2.imwrite(str(images / "a.jpg"), tissue())
    with pytest.raises(WrongUse, match="same name"):
        find_images([images])
    with pytest.raises(WrongUse, match="no image or folder"):
        find_images([tmp_path / "nowhere"])


def test_what_a_model_knows_nothing_of_or_may_not_be_used_for_is_refused(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder(tmp_path / "data")
    with pytest.raises(InvalidArgument, match="watershed takes no notice of augment"):
        segment([images], tmp_path / "out", folder, "watershed", 0.5, {"augment": True}, lambda _: None)
    weights = [("network", Path(__file__).parents[2] / "oracles" / "unet_narrow.onnx")]
    unclear = next(row for row in FAMILIES if row.description.commercial == "unclear")
    WeightsFolder(folder.weights).add(unclear, weights)
    monkeypatch.setenv("MORULA_PROFILE", "commercial")
    with pytest.raises(LicenceForbids, match=unclear.name):
        segment([images], tmp_path / "out", folder, unclear.name, 0.5, {}, lambda _: None)
    with pytest.raises(LicenceForbids, match=unclear.name):
        run(Request(images / "a.png", tmp_path / "out", Choices(segmenter=unclear.name)), folder, Console())


@pytest.mark.parametrize(("shape", "kind"), [((9, 7), np.uint8), ((9, 7, 4), np.uint16), ((3, 9, 7), np.float32)])
def test_every_image_has_three_channels(tmp_path: Path, shape: tuple[int, ...], kind: type) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones(shape, kind), photometric="minisblack")
    assert read_image(tmp_path / "a.tif").shape == (9, 7, 3)


def test_more_objects_than_sixteen_bits_can_number(tmp_path: Path) -> None:
    labels = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    path = write_labels(tmp_path / "many", labels)
    assert path.suffix == ".tiff"
    assert np.array_equal(read_labels(path), labels)


def test_folders_are_scored_by_modality(tmp_path: Path) -> None:
    truth, found = tmp_path / "truth", tmp_path / "found"
    for folder in (truth, found):
        folder.mkdir()
    labels = np.zeros((20, 20), np.int32)
    labels[2:8, 2:8] = 1
    for name, folder, content in [
        ("a", truth, labels),
        ("a", found, labels),
        ("b", truth, labels),
        ("b", found, labels * 0),
    ]:
        write_labels(folder / name, content)
    index = tmp_path / "index.csv"
    index.write_text("id,modality\na,he\nb,dark\n")
    scores = score(truth, found, index)
    assert {name: group.values["ap_0.5"] for name, group in scores.items()} == {"all": 0.5, "he": 1, "dark": 0}
    assert scores["he"].values["boundary_px"] == 0
    assert "boundary_px" not in scores["dark"].values
    assert scores["all"].intervals["ap_0.5"] == {"value": 0.5, "low": 0.0, "high": 1.0, "n": 2}
    assert scores["he"].intervals["ap_0.5"] == {"value": 1.0, "low": None, "high": None, "n": 1}
    against = score(truth, found, None, against=truth)["all"].difference["ap_0.5"]
    assert (against["value"], against["high"]) == (-0.5, 0.0)
    annotators = score(truth, truth, None, found)["all"].values
    assert (annotators["error_rate"], annotators["annotators_error_rate"], annotators["consensus_bound"]) == (
        0,
        0.5,
        0.25,
    )
    (found / "b.png").unlink()
    with pytest.raises(WrongUse, match="no second truth"):
        score(truth, truth, None, found)
    with pytest.raises(WrongUse, match="no prediction"):
        score(truth, found, None)


def test_nuclei_of_one_stain_alone_are_found(data_dir: Path, tmp_path: Path) -> None:
    """Two stains made of the one left none: the first image of purple nuclei that is on white."""
    with (data_dir / "dsb2018" / "index_train_dev.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["modality"] == "he_purple_on_white")
    with zipfile.ZipFile(data_dir / "dsb2018" / "train_dev.zip") as archive:
        (tmp_path / "one.png").write_bytes(archive.read(f"images/{row['id']}.png"))
        true = cv2.imdecode(np.frombuffer(archive.read(f"labels/{row['id']}.png"), np.uint8), cv2.IMREAD_UNCHANGED)
    asked = {"diameter_um": 0.5 * 2 * np.sqrt(np.median(np.unique(true, return_counts=True)[1][1:]) / np.pi)}
    (done,) = segment([tmp_path], tmp_path / "out", DataFolder(tmp_path / "d"), "watershed", 0.5, asked, lambda _: None)
    assert done.cell_count > true.max() / 2
