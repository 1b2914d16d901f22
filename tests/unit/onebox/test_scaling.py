"""`morula models fit-scale`: the scale of an embedder that was added, of a reference set and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from morula.cli.main import app
from morula.common.errors import ModelUnavailable
from morula.common.models import ModelSpec
from morula.common.testing import draw_tissue, write_slide
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS
from morula.networks import cell_net_files, cell_net_graph
from morula.networks.cell_net_graph import CellNetConfig
from morula.networks.models import Models
from morula.onebox import scaling
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add, registry
from morula.onebox.reference import cells_of, described, fields, sources_of
from morula.onebox.scaling import Fitted, fit_scale
from morula.segmenter import watershed

CONFIG = CellNetConfig((4, 8), 6)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """With an embedder `mine`, whose weights are drawn."""
    folder = DataFolder(tmp_path / "data")
    add(folder, "cell-net", [network(tmp_path)], None, Wishes("mine"))
    return folder


def network(place: Path, *, blind: bool = False) -> Path:
    rng = np.random.default_rng(0)
    state = {
        name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in cell_net_graph.shapes(CONFIG).items()
    }
    state |= {name: np.abs(values) + 0.5 for name, values in state.items() if name.endswith("running_var")}
    if blind:
        state["vector.weight"] *= 0
    told = {"diam_mean": np.array([8.0], np.float32), "crop_px": np.array([24.0], np.float32)}
    path = place / ("blind.onnx" if blind else "drawn.onnx")
    path.write_bytes(cell_net_files.written(state | told))
    return path


def tissue(path: Path, side_px: int, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), draw_tissue(side_px, side_px, seed)[0][..., ::-1])
    return path


def fitted(folder: DataFolder, paths: Sequence[Path], name: str = "mine", new_name: str | None = None) -> Fitted:
    return fit_scale(name, paths, folder, "watershed", 0.5, lambda *_: None, new_name)


def row(folder: DataFolder, name: str = "mine") -> ModelSpec:
    return next(spec for spec in registry(folder) if spec.name == name)


def vectors_of(folder: DataFolder, paths: Sequence[Path]) -> NDArray[np.float32]:
    models = Models("embedder", MODELS, WeightsFolder(folder.weights), device="cpu")
    seen = [field for source in sources_of(paths)[0] for field in fields(source, 0.5, 0.5)]
    found = [described(cells, models["mine"]) for field in seen if (cells := cells_of(field, watershed.segment))]
    models.close()
    return np.concatenate(found)


def test_it_is_the_middle_and_the_quartiles_of_the_reference(folder: DataFolder, tmp_path: Path) -> None:
    images = [tissue(tmp_path / "reference" / f"{n}.png", 512, n) for n in range(2)]
    before = row(folder)
    done = fitted(folder, [tmp_path / "reference"])
    after, vectors = row(folder), vectors_of(folder, images)
    assert (done.cell_count, done.source_count, done.lost_count) == (len(vectors), 2, 0)
    assert done.spec == after
    assert np.allclose(after.location, np.median(vectors, axis=0), rtol=1e-4)
    low, high = np.percentile(vectors, [25, 75], axis=0)
    assert np.allclose(after.scale, (high - low) / 1.349, rtol=1e-3)
    assert after.description.scaled_by == f"{len(vectors)} cells of 2 images and slides, found by watershed"
    assert done.former == before.revision != after.revision, "what changes results changes the revision"
    assert (after.files, after.window_um) == (before.files, before.window_um)
    again = fitted(folder, [tmp_path / "reference"])
    assert again.spec.revision == after.revision, "of the same reference set it is the same model"


def test_a_slide_is_a_reference_and_the_former_model_can_stay(folder: DataFolder, tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tiff", 700, 600)
    before = row(folder)
    done = fitted(folder, [tmp_path / "slide.tiff"], new_name="scaled")
    assert done.cell_count >= scaling.LEAST_CELLS
    assert row(folder) == before
    assert row(folder, "scaled").scale != before.scale
    middle = np.median(vectors_of(folder, [tmp_path / "slide.tiff"]), axis=0)
    assert np.allclose(row(folder, "scaled").location, middle, rtol=1e-4)


def test_images_are_brought_to_the_scale_of_slides(tmp_path: Path) -> None:
    (source,) = sources_of([tissue(tmp_path / "in" / "a.tif", 300)])[0]
    (same,), (finer,) = (list(fields(source, 0.5, mpp)) for mpp in (0.5, 0.25))
    assert (same.region.pixels.shape, finer.region.pixels.shape) == ((300, 300, 3), (150, 150, 3))
    assert finer.region.mpp == 0.5


def test_a_folder_gives_its_images_and_its_slides_and_names_the_rest(folder: DataFolder, tmp_path: Path) -> None:
    place = tmp_path / "in"
    tissue(place / "a.png", 512)
    tissue(place / "below" / "c.png", 300)
    write_slide(place / "b.tiff", 700, 600)
    (place / "notes.txt").write_text("of many patients")
    sources, left_out = sources_of([place])
    assert {source.name: source.image is None for source in sources} == {"a.png": False, "c.png": False, "b.tiff": True}
    assert left_out == [place / "notes.txt"]
    done = fitted(folder, [place])
    assert (done.source_count, done.left_out) == (3, (place / "notes.txt",))


def test_another_embedder_is_not_written_over(folder: DataFolder, tmp_path: Path) -> None:
    image = tissue(tmp_path / "in" / "a.png", 512)
    add(folder, "cell-net", [network(tmp_path, blind=True)], None, Wishes("blind"))
    before = row(folder, "blind")
    with pytest.raises(WrongUse, match="blind is another embedder, of other files"):
        fitted(folder, [image], new_name="blind")
    assert row(folder, "blind") == before


@pytest.mark.parametrize(
    ("name", "says"),
    [("morphology", "ships with the scale"), ("morula-nuclei-features", "ships with the scale")],
)
def test_what_ships_keeps_its_scale(folder: DataFolder, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(WrongUse, match=says):
        fitted(folder, [tissue(tmp_path / "in" / "a.png", 512)], name)


@pytest.mark.parametrize("name", ["other", "watershed", "cell-net"])
def test_an_embedder_that_is_not_there_is_told(folder: DataFolder, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"there is no embedder '{name}'"):
        fitted(folder, [tissue(tmp_path / "in" / "a.png", 512)], name)


def test_too_few_cells_are_no_reference(folder: DataFolder, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((200, 200, 3), 240, np.uint8))
    one = np.full((200, 200, 3), (230, 215, 235), np.uint8)
    cv2.circle(one, (100, 100), 8, (120, 60, 110), -1)
    cv2.imwrite(str(tmp_path / "one.png"), one)
    before = row(folder)
    for path, count in ((blank, "0"), (tmp_path / "one.png", "[1-9]")):
        with pytest.raises(WrongUse, match=f"finds {count} whole cells in 1 images.*at least 50"):
            fitted(folder, [path])
    assert row(folder) == before


def test_vectors_without_numbers_are_counted_and_those_without_a_difference_refused(
    folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tissue(tmp_path / "in" / "a.png", 512)
    whole = fitted(folder, [image]).cell_count

    def half(cells: object, model: object) -> NDArray[np.float32]:
        vectors = described(cells, model)  # type: ignore[arg-type]
        vectors[::2] = np.nan
        return vectors

    with monkeypatch.context() as patch:
        patch.setattr(scaling, "described", half)
        done = fitted(folder, [image])
    assert (done.cell_count, done.lost_count) == (whole // 2, whole - whole // 2)
    add(folder, "cell-net", [network(tmp_path, blind=True)], None, Wishes("blind"))
    with pytest.raises(WrongUse, match="says the same of all"):
        fitted(folder, [image], "blind")


@pytest.mark.parametrize(("content", "says"), [(None, "there is no file or folder"), (b"no image", "cannot be read")])
def test_a_file_that_is_none_is_named(folder: DataFolder, tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "bad.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(WrongUse, match=rf"{says}.*bad\.png|bad\.png.*{says}"):
        fitted(folder, [path])


def test_the_command_says_what_becomes_of_jobs(folder: DataFolder, tmp_path: Path) -> None:
    tissue(tmp_path / "in" / "a.png", 512)
    words = ["models", "fit-scale", "mine", str(tmp_path / "in"), "--data", str(tmp_path / "data")]
    words += ["--segmenter", "watershed"]
    said = CliRunner().invoke(app, words).output
    assert "morula run SLIDE --embedder mine" in said
    assert "stay as they are" in said
    told = json.loads(CliRunner().invoke(app, [*words, "--json", "--as", "other"]).output)
    assert (told["name"], told["former_revision"]) == ("other", row(folder).revision)
