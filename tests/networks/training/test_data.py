"""What a run is told and what it reads: every wrong input is one clear line."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from morula.common.errors import InvalidArgument
from morula.segmenter.channels import eight_bits
from morula.training.config import Config, Source, Split, read_config
from morula.training.data import MAX_BYTES, parts_of, read_source
from morula.training.prepared import Prepared, Sampler, prepare
from morula.training.run import prepared_sets

# 12 bits, as cameras give them; each colour has its own range.
RAMP = np.arange(64 * 64).reshape(64, 64, 1) * [1.0, 0.7, 0.5] // 1
SQUARES = np.kron(np.arange(1, 5, dtype=np.uint16).reshape(2, 2), np.pad(np.ones((20, 20), np.uint16), 6))


def write(folder: Path, name: str, labels: np.ndarray, side: int = 64) -> None:
    for kind, image in (("images", np.full((side, side, 3), 200, np.uint8)), ("labels", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / kind / f"{name}.png"), image)


def config(folder: Path, **more: Any) -> Config:
    return Config.model_validate({
        "name": "mine", "objective": "flows", "schedule": {"steps": 1, "batch": 1, "rate": 0.1},
        "sources": [{"name": "mine", "path": str(folder)}], "settings": {"crop_px": 32}, **more,
    })  # fmt: skip


def test_a_folder_and_a_zip_give_the_same(tmp_path: Path) -> None:
    for name in ("a_1", "a_2", "b_1"):
        write(tmp_path / "folder", name, SQUARES)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted((tmp_path / "folder").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "folder"))
    of_folder, of_zip = (
        list(read_source(Source(name="x", path=path, group_pattern="^[ab]"), tmp_path))
        for path in ("folder", "all.zip")
    )
    assert [one.group for one in of_folder] == ["x/a", "x/a", "x/b"]
    assert [one.key for one in of_folder] == [one.key for one in of_zip]
    assert all(np.array_equal(one.labels, other.labels) for one, other in zip(of_folder, of_zip, strict=True))


def test_an_index_names_groups_and_kinds(tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    (tmp_path / "index.csv").write_text("id,patient,stain\na,p7,IHC\n")
    source = Source(name="x", path=".", index="index.csv", group_column="patient", kind_column="stain")
    (one,) = read_source(source, tmp_path)
    assert (one.group, one.kind) == ("x/p7", "IHC")


@pytest.mark.parametrize(
    ("labels", "index", "line"),
    [
        (SQUARES[:32], "", r"image a is \(64, 64\) px, its labels are \(32, 64\)"),
        (np.zeros((64, 64, 3), np.uint8), "", "no image of one channel of integers"),
        (SQUARES, "id,group\nb,1\n", "image a is not in index.csv"),
        (SQUARES, "name,group\na,1\n", "no column id"),
        (SQUARES, "id,patient\na,1\n", "no column group"),
        (SQUARES, "id,group,mpp\na,1\n", "the row of a is short"),
        (SQUARES, "id,group,mpp\na,1,1\na,2,1\n", "more than one row of a"),
        (SQUARES, "id,group,mpp\na,1,nan\n", "mpp of a is no scale: 'nan'"),
        (SQUARES, "id,group,mpp\na,\udce4,1\n", "cannot be read: 'utf-8'"),
    ],
)
def test_wrong_inputs_are_told(tmp_path: Path, labels: np.ndarray, index: str, line: str) -> None:
    write(tmp_path, "a", labels)
    (tmp_path / "index.csv").write_bytes(index.encode(errors="surrogateescape"))
    column = "mpp" if "mpp" in index else ""
    with pytest.raises(InvalidArgument, match=line):
        list(read_source(Source(name="x", path=".", index="index.csv" if index else "", mpp_column=column), tmp_path))


@pytest.mark.parametrize("label", [-1, 1 << 24])
def test_labels_that_would_not_be_learned_as_they_are_are_told(label: int, tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    (tmp_path / "labels" / "a.png").unlink()
    assert cv2.imwrite(str(tmp_path / "labels" / "a.tif"), np.full((64, 64), label, np.int32))
    with pytest.raises(InvalidArgument, match="the labels of a do not lie in 0 to 16777215"):
        list(read_source(Source(name="x", path="."), tmp_path))


def test_a_damaged_member_of_a_zip_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "images" / "a.png", "images/a.png")
        archive.write(tmp_path / "labels" / "a.png", "labels/a.png")
    content = bytearray((tmp_path / "all.zip").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "all.zip").write_bytes(content)
    with pytest.raises(InvalidArgument, match=r"images/a\.png cannot be read from"):
        list(read_source(Source(name="x", path="all.zip"), tmp_path))


@pytest.mark.parametrize(("pattern", "line"), [("(", "no regular expression"), ("(b)?", "finds no group in a")])
def test_a_pattern_that_finds_no_group_is_told(pattern: str, line: str, tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    with pytest.raises((ValidationError, InvalidArgument), match=line):
        list(read_source(Source(name="x", path=".", group_pattern=pattern), tmp_path))


def test_what_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    source = Source(name="x", path="here")
    with pytest.raises(InvalidArgument, match="there is no folder or zip"):
        list(read_source(source, tmp_path))
    write(tmp_path / "here", "a", SQUARES)
    (tmp_path / "here" / "images" / "a.png").write_bytes(b"no image")
    with pytest.raises(InvalidArgument, match="a cannot be read as an image"):
        list(read_source(source, tmp_path))
    (tmp_path / "here" / "labels" / "a.png").unlink()
    with pytest.raises(InvalidArgument, match="image a has no labels"):
        list(read_source(source, tmp_path))
    (tmp_path / "here" / "images" / "a.png").unlink()
    with pytest.raises(InvalidArgument, match="there are no images"):
        list(read_source(source, tmp_path))


@pytest.mark.parametrize(
    ("ending", "pixels"),
    [
        ("png", RAMP.astype(np.uint16)),
        ("tif", RAMP.astype(np.uint16)),
        ("png", RAMP[..., 0].astype(np.uint16)),
        ("tif", RAMP.astype(np.float32)),
    ],
)
def test_deep_images_are_seen_as_the_segmenter_sees_them(tmp_path: Path, ending: str, pixels: np.ndarray) -> None:
    write(tmp_path, "a", SQUARES)
    (tmp_path / "images" / "a.png").unlink()
    assert cv2.imwrite(str(tmp_path / "images" / f"a.{ending}"), pixels)
    (one,) = read_source(Source(name="x", path="."), tmp_path)
    in_colour = pixels[..., ::-1] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    assert np.array_equal(one.pixels, eight_bits(in_colour))
    assert np.ptp(one.pixels) == 255


def test_images_of_eight_bits_are_learned_from_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    pixels = (RAMP // 40).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "images" / "a.png"), pixels)
    (one,) = read_source(Source(name="x", path="."), tmp_path)
    assert np.array_equal(one.pixels, pixels[..., ::-1])


def test_an_image_with_what_is_no_number_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    (tmp_path / "images" / "a.png").unlink()
    assert cv2.imwrite(str(tmp_path / "images" / "a.tif"), np.full((64, 64, 3), np.nan, np.float32))
    with pytest.raises(InvalidArgument, match="a: some pixels are not finite"):
        list(read_source(Source(name="x", path="."), tmp_path))


@pytest.mark.parametrize("other", ["b/images/1.png", "a/images/1.tif", "a/labels/1.geojson"])
def test_files_of_one_name_are_told(tmp_path: Path, other: str) -> None:
    write(tmp_path / "a", "1", SQUARES)
    (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / other).touch()
    with pytest.raises(InvalidArgument) as told:
        list(read_source(Source(name="x", path="."), tmp_path))
    assert {other, f"a/{Path(other).parent.name}/1.png"} <= set(told.value.args[0].replace(":", "").split())


@pytest.mark.parametrize(
    ("split", "line"),
    [
        ({"test": ["mine/c"]}, "there is no group mine/c to hold out"),
        ({"test": ["mine/a"], "watch": ["mine/a"]}, "both watched and tested"),
        ({"test": ["mine/a"], "watch": ["mine/b"]}, "nothing is left to learn from"),
    ],
)
def test_groups_are_held_out_by_name(split: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidArgument, match=line):
        parts_of(["mine/a", "mine/b"], Split.model_validate(split))


def test_shares_hold_out_whole_groups_always_the_same() -> None:
    groups = [f"x/{n}" for n in range(200)]
    parts = parts_of(groups, Split(test_share=0.2, watch_share=0.1))
    counts = {part: list(parts.values()).count(part) for part in ("train", "watch", "test")}
    assert 25 < counts["test"] < 55
    assert 8 < counts["watch"] < 35
    assert parts == parts_of(groups[::-1], Split(test_share=0.2, watch_share=0.1))


def test_images_without_objects_alone_are_told(tmp_path: Path) -> None:
    write(tmp_path, "a", np.zeros((64, 64), np.uint16))
    with pytest.raises(InvalidArgument, match="no object in any image"):
        prepared_sets(config(tmp_path), tmp_path, tmp_path / "run", lambda _: None)


def test_one_image_is_enough_and_is_shown_at_the_wanted_size(tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    said: list[str] = []
    wanted = config(tmp_path, settings={"crop_px": 64, "diameter_px": 11.3})
    sets, tested = prepared_sets(wanted, tmp_path, tmp_path / "run", said.append)
    assert not tested
    (one,) = sets["train"]
    # Squares of 20 px are discs of 22.6 px.
    assert one.inner == (32, 32)
    assert one.labels.shape == (64, 64)
    assert said[:2] == ["mine: 1 images", "train: 1 images (objects): mine 1 (4)"]
    assert said[2:] == ["watch: 0 images (objects): none", "test: 0 images (objects): none"]


def test_what_was_prepared_once_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a", SQUARES)
    (example,) = read_source(Source(name="x", path="."), tmp_path)
    first = prepare(example, 17, 32, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    before = file.stat().st_mtime_ns
    again = prepare(example, 17, 32, tmp_path / "cache")
    assert file.stat().st_mtime_ns == before
    assert np.array_equal(first.flows, again.flows)
    prepare(example, 12, 32, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InvalidArgument, match="is damaged: delete it"):
        prepare(example, 17, 32, tmp_path / "cache")


def test_kinds_are_drawn_by_their_shares() -> None:
    nothing = np.zeros(0)
    examples = [
        Prepared(f"{kind}{n}", kind, kind, nothing, nothing, nothing, nothing, (0, 0))  # type: ignore[arg-type]
        for kind, count in (("few", 1), ("many", 50))
        for n in range(count)
    ]
    rng = np.random.default_rng(0)
    sampler = Sampler(examples, {"few": 3, "many": 1})
    drawn = [sampler.draw(rng).kind for _ in range(400)]
    assert 0.68 < drawn.count("few") / 400 < 0.82


@pytest.mark.parametrize("shares", [{"few": 1.0}, {"few": 1.0, "many": 1.0, "none": 1.0}, {"few": 0.0, "many": -1.0}])
def test_shares_that_do_not_fit_are_told(shares: dict[str, float]) -> None:
    nothing = np.zeros(0)
    examples = [Prepared(kind, kind, kind, *[nothing] * 4, (0, 0)) for kind in ("few", "many")]  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="shares"):
        Sampler(examples, shares)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name = ", "cannot be read"),
        ('name = "x"', "objective"),
        ('name = "x"\nobjective = "flows"\n[schedule]\nsteps = 1\nbatch = 3\nparts = 2\nrate = 1', "no 2 equal parts"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(InvalidArgument, match=line):
        read_config(path)


def test_the_configuration_that_ships_is_valid() -> None:
    import morula.training.run as run

    path = Path(run.__file__).parent / "configs" / "morula-nuclei.toml"
    assert read_config(path).name == "morula-nuclei"


def test_a_file_that_an_archive_says_is_huge_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("images/a.png", "labels/a.png"):
            with archive.open(name, "w") as member:
                for _ in range(MAX_BYTES // 2**20 + 1):
                    member.write(bytes(2**20))
    with pytest.raises(InvalidArgument, match="cut it first"):
        list(read_source(Source(name="x", path="all.zip"), tmp_path))
