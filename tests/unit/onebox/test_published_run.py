"""A run of the published system becomes slides: nothing is lost, and what is not taken over is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from morula.common import imported
from morula.common.errors import InvalidArgument
from morula.common.published import TileName, file_name, is_class
from morula.onebox.assembled import Assembled, assemble, check
from morula.onebox.failures import Unreadable, WrongUse
from morula.onebox.published_run import Remarks, slides_in
from tests.fixtures.published_run import Run, write_run


def assembled(run: Run, out: Path) -> tuple[list[Assembled], list[str]]:
    remarks, out = Remarks(), out / "out"
    out.mkdir(exist_ok=True)
    made = [one for slide in slides_in(run.folder) for one in assemble(slide, out, 0.25, remarks)]
    return made, remarks.lines()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a_b__MAG_1d00__X_0__Y_512__IDX_000001", ("a_b", 1.0, 0, 512)),
        ("a__MAG_1d000__X_0__Y_0__IDX_000001", ("a", 1.0, 0, 0)),
        ("a__MAG_0d50__X_1024__Y_0__IDX_7", ("a", 0.5, 1024, 0)),
        ("a__MAG_0d900__X_0__Y_0__IDX_7", ("a", 0.9, 0, 0)),
        ("a__THUMBNAIL", None),
        ("a__MAG_1d0__X_0__Y_0__IDX_7", None),
        ("a__MAG_1d00__X_-5__Y_0__IDX_7", None),
    ],
)
def test_a_name_tells_where_its_tile_lies(name: str, told: tuple[str, float, int, int] | None) -> None:
    tile = TileName.of(name)
    assert (tile and (tile.slide, tile.magnification, tile.x_px, tile.y_px)) == told


@pytest.mark.parametrize(
    "path", ["/mnt/x/a.png", "..\\..\\etc\\a.png", "../../a.png", "a.png", "wasbs://data@account/x/a.png"]
)
def test_of_a_path_only_the_last_part_is_read(path: str) -> None:
    assert file_name(path) == "a.png"


def test_what_stands_in_a_class_s_place_is_none() -> None:
    assert [is_class(word) for word in ("Duct", "Unclassified", "Undetermined", "Error - Rate Limited", "", None)] == [
        True, False, False, False, False, False
    ]  # fmt: skip


@pytest.mark.parametrize(("magnification", "digits"), [(1.0, 2), (1.0, 3), (0.29, 2), (0.5, 2)])
def test_pixels_masks_clusters_and_classes_stay_what_they_were(
    tmp_path: Path, magnification: float, digits: int
) -> None:
    """Of a factor that its tag cuts off the true side of the tiles is found by where they lie."""
    run = write_run(tmp_path / "run", magnification=magnification, digits=digits)
    (slide,), remarks = assembled(run, tmp_path)
    assert remarks == []
    side = round(512 / magnification)
    assert slide.mpp == pytest.approx(0.25 * side / 512)
    picture = tifffile.imread(tmp_path / "out" / f"{slide.name}.tiff", level=0)
    cells = imported.read(tmp_path / "out" / f"{slide.name}{imported.ENDING}")
    assert (picture.shape, len(cells), slide.tile_count) == ((1536, 1024, 3), slide.cell_count, 3)
    labels, rows = np.zeros(picture.shape[:2], np.int64), cells.to_pylist()
    for number, row in enumerate(rows, 1):
        mask = imported.unpack(row["mask"], row["width_px"], row["height_px"])
        labels[row["y_px"] : row["y_px"] + row["height_px"], row["x_px"] : row["x_px"] + row["width_px"]][mask] = number
        key = (row["tile"], row["label"])
        assert (row["cluster"], row["class"]) == (run.clusters[key], run.classes.get(key, "Unclassified"))
    for name, mask in run.masks.items():
        tile = TileName.of(name)
        assert tile is not None
        place = tuple(slice(at // side * 512, at // side * 512 + 512) for at in (tile.y_px, tile.x_px))
        np.testing.assert_array_equal(picture[place], run.pictures[name])
        own = np.array([0, *(row["label"] if row["tile"] == name else 0 for row in rows)])
        np.testing.assert_array_equal(own[labels[place]], mask)
    assert (picture[512:, :512] == 255).all()


def test_tiles_of_a_grid_with_broken_sides_lie_where_they_should(tmp_path: Path) -> None:
    """As an export of cells at 0.5 um of a slide of 0.46 writes them."""
    run = write_run(tmp_path / "run", places=((0, 0),))
    side, names = 512 * 0.5 / 0.46, [TileName.of(name) for name in run.masks]
    (first,) = (name.text for name in names if name is not None)
    for number, (column, row) in enumerate(((1, 0), (3, 2), (40, 7)), 1):
        place = f"__MAG_0d92__X_{round(column * side)}__Y_{round(row * side)}__IDX_{number:06d}"
        for path in sorted(run.folder.rglob(f"{first}*")):
            (path.parent / path.name.replace("__MAG_1d00__X_0__Y_0__IDX_000000", place)).write_bytes(path.read_bytes())
    for path in run.folder.rglob(f"{first}*"):
        path.unlink()
    (slide,), remarks = assembled(run, tmp_path)
    assert not [line for line in remarks if "beside the grid" in line]
    assert slide.mpp == pytest.approx(0.25 * side / 512, rel=1e-4)
    picture = tifffile.imread(tmp_path / "out" / f"{slide.name}.tiff", level=0)
    assert picture.shape == (8 * 512, 41 * 512, 3)
    np.testing.assert_array_equal(picture[2 * 512 : 3 * 512, 3 * 512 : 4 * 512], run.pictures[first])


def test_several_magnifications_are_several_slides_and_enlarged_tiles_are_said(tmp_path: Path) -> None:
    for number, factor in enumerate((1.0, 0.5, 1.5)):
        run = write_run(tmp_path / "run" / str(number), magnification=factor, places=((0, 0),))
    made, remarks = assembled(Run(tmp_path / "run", run.slide_id, {}, {}, {}, {}), tmp_path)
    assert [one.name for one in made] == [f"{run.slide_id} at 1x", f"{run.slide_id} at 0.5x"]
    assert next(line for line in remarks if "enlarged" in line).startswith("1 tiles are enlarged")


def the(run: Run, pattern: str) -> Path:
    return next(iter(sorted(run.folder.rglob(pattern))))


def unsure(run: Run) -> None:
    """Nothing is left that says how sure clusters are."""
    drop("cluster_assignments.json")(run)
    for path in [*run.folder.rglob("*_annotations.json"), *run.folder.rglob("classification_results.json")]:
        path.write_text(re.sub(r'"cluster_confidence": [0-9.e-]+', '"cluster_confidence": null', path.read_text()))


def test_outlines_stand_in_for_a_mask_that_is_missing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    whole, _ = assembled(run, tmp_path)
    before = imported.read(next(path for path in whole[0].files.values() if path.suffix == ".parquet")).to_pylist()
    the(run, "*_mask.png").unlink()
    made, remarks = assembled(run, tmp_path)
    after = imported.read(next(path for path in made[0].files.values() if path.suffix == ".parquet")).to_pylist()
    assert [line[:35] for line in remarks if "no mask:" in line] == ["1 tiles have no mask: the outlines "]
    # Outlines of cells at the frame are open, and lose what lies beyond their ends: that is how they were written.
    assert [one for one in before if one["x_px"] % 512] == [one for one in after if one["x_px"] % 512]


def drop(pattern: str) -> Callable[[Run], None]:
    return lambda run: the(run, pattern).unlink()


def shorten(pattern: str) -> Callable[[Run], None]:
    def apply(run: Run) -> None:
        path = the(run, pattern)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return apply


def other_version(run: Run) -> None:
    the(run, "*_bboxes.json").write_text(json.dumps({"version": 2, "boxes": []}))


def wide(run: Run) -> None:
    Image.fromarray(np.zeros((8, 40_000), np.uint8)).save(the(run, "*_mask.png"))


def mask_of(label: np.generic) -> Callable[[Run], None]:
    def apply(run: Run) -> None:
        mask = np.zeros((512, 512), label.dtype)
        mask[:9, :9] = label
        Image.fromarray(mask).save(the(run, "*_mask.png"), format="TIFF")

    return apply


def said(name: str, **words: object) -> Callable[[Run], None]:
    def apply(run: Run) -> None:
        content = json.loads(the(run, name).read_text())
        content[0] |= words
        the(run, name).write_text(json.dumps(content))

    return apply


def test_labels_may_be_as_large_as_they_like(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", places=((0, 0),))
    mask_of(np.int32(2**31 - 1))(run)
    (slide,), _ = assembled(run, tmp_path)
    (row,) = imported.read(tmp_path / "out" / f"{slide.name}{imported.ENDING}").to_pylist()
    assert (row["label"], row["width_px"], row["height_px"]) == (2**31 - 1, 9, 9)


def test_what_could_not_be_taken_over_is_said_before_anything_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", places=((0, 0), (1, 0)))
    for path in list(run.folder.rglob("*__X_512__*")):
        path.rename(path.with_name(path.name.replace("__X_512__", "__X_999999488__")))
    with pytest.raises(Unreadable, match=r"1,953,125 columns and 1 rows, .* the last one is .*__X_999999488__"):
        check(*slides_in(run.folder))
    run = write_run(tmp_path / "named", places=((0, 0),))
    path = the(run, "classification_results.json")
    path.write_text(path.read_text().replace('"Duct"', json.dumps("D" * 201)))
    with pytest.raises(Unreadable, match=f"{run.slide_id} has a class 'D.*' of 201 letters"):
        check(*slides_in(run.folder))


@pytest.mark.parametrize(
    ("harm", "error", "words"),
    [
        (shorten("*_mask.png"), Unreadable, "cannot be read as a picture"),
        (shorten("*IDX_000000.png"), Unreadable, "cannot be read as a picture"),
        (shorten("cluster_assignments.json"), InvalidArgument, "not as the published system writes it"),
        (other_version, InvalidArgument, "not as the published system writes it"),
        (wide, Unreadable, "a tile has 512 x 512"),
        (mask_of(np.float32(1.5)), Unreadable, "float32 from 0.0 to 1.5: labels are whole numbers"),
        (mask_of(np.int32(-3)), Unreadable, "int32 from -3 to 0: labels are whole numbers"),
        (lambda run: the(run, "*_mask.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), Unreadable, "as a picture"),
        (said("cluster_assignments.json", confidence=float("nan")), InvalidArgument, "0.confidence"),
        (said("cluster_assignments.json", confidence=1e300), InvalidArgument, "0.confidence"),
        (said("cluster_assignments.json", label_id=2**40), InvalidArgument, "0.label_id"),
    ],
)
def test_what_is_damaged_is_named(
    tmp_path: Path, harm: Callable[[Run], None], error: type[Exception], words: str
) -> None:
    run = write_run(tmp_path / "run", places=((0, 0),))
    harm(run)
    with pytest.raises(error, match=words):
        assembled(run, tmp_path)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (drop("*_000000.png"), "1 tiles have no picture in the folder"),
        (drop("*_annotations.json"), ""),
        (unsure, "48 cells have a cluster and no confidence: it becomes 0"),
        (drop("cluster_assignments.json"), ""),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_taken(tmp_path: Path, harm: Callable[[Run], None], words: str) -> None:
    run = write_run(tmp_path / "run", places=((0, 0), (1, 0)))
    harm(run)
    (slide,), remarks = assembled(run, tmp_path)
    assert "; ".join(remarks).startswith(words)
    assert slide.cell_count == 24 * slide.tile_count


def test_a_file_that_names_a_place_outside_opens_nothing_there(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", places=((0, 0),))
    path = the(run, "cluster_assignments.json")
    path.write_text(path.read_text().replace("/mnt/azureml", "../../../../../../etc"))
    (slide,), remarks = assembled(run, tmp_path)
    assert (slide.cell_count, remarks) == (24, [])


@pytest.mark.parametrize("kind", ["nothing", "file", "other files"])
def test_what_is_no_run_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    if kind == "file":
        folder.write_bytes(b"PK\x03\x04")
    if kind == "other files":
        folder.mkdir()
        (folder / "picture.png").write_bytes(b"")
    with pytest.raises(WrongUse):
        slides_in(folder)
