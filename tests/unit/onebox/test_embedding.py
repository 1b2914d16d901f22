"""Images of single cells become vectors: of folders and archives, of whole files and of others."""

from __future__ import annotations

import json
import resource
import signal
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from numpy.typing import NDArray
from typer.testing import CliRunner

from morula.cli.main import app
from morula.common.errors import ModelUnavailable
from morula.common.stain import Stain
from morula.onebox import single_cells
from morula.onebox.embedding import Embedded, embed
from morula.onebox.failures import Failure, WrongUse
from morula.onebox.folder import DataFolder

CELLS = ("a/1.png", "a/2.tif", "b/1.jpg")


def picture(name: str) -> bytes:
    seed = zlib.crc32(name.encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (24 + seed % 9, 31, 3), np.uint8)
    return cv2.imencode(Path(name).suffix, pixels)[1].tobytes()


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def archive_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def embedded(source: Path, out: Path, name: str = "morphology", stain: Stain | None = None) -> Embedded:
    return embed(source, out, DataFolder(out / "data"), name, 0.5, lambda *_: None, stain)


@pytest.mark.parametrize(
    ("kind", "stain", "embedder"), [("folder", "H&E", b"morphology"), ("archive", None, b"morphology-plain")]
)
def test_every_image_is_a_row_under_its_name(kind: str, stain: Stain | None, embedder: bytes, tmp_path: Path) -> None:
    files = {name: picture(name) for name in CELLS} | {"notes.txt": b"no image", "__MACOSX/._1.png": b"\0"}
    source = folder_of(tmp_path / "in", files) if kind == "folder" else archive_of(tmp_path / "in.zip", files)
    done = embedded(source, tmp_path / "out", stain=stain)
    vectors, index = np.load(tmp_path / "out" / "vectors.npy"), pq.read_table(tmp_path / "out" / "index.parquet")
    assert (done.count, done.errors) == (3, [])
    assert vectors.shape == (3, done.dimension_count)
    assert np.isfinite(vectors).all()
    assert np.ptp(vectors, axis=0).max() > 0
    assert index["file"].to_pylist() == list(CELLS)
    assert index["row"].to_pylist() == [0, 1, 2]
    assert index["width_px"].to_pylist() == [31] * 3
    assert index.schema.metadata[b"embedder"] == embedder
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.parquet", "vectors.npy"]


def huge_by_its_header() -> bytes:
    """A small PNG that says it is a picture of 100,000 x 100,000 px."""
    content = bytearray(picture("one.png"))
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


def tiff(pixels: NDArray[Any], **how: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read as an image"),
        (b"<html>", "cannot be read as an image"),
        (picture("one.png")[:60], "cannot be read as an image"),
        (huge_by_its_header(), "cannot be read as an image|more than 4096"),
        (cv2.imencode(".png", np.zeros((9, 5000), np.uint8))[1].tobytes(), "5000 x 9 px, more than 4096"),
        (tiff(np.zeros((20, 50, 50), np.uint8), photometric="minisblack"), "not a single picture"),
        (tiff(np.zeros((9, 9), np.int32)), "pixels of int32"),
        (tiff(np.zeros((9, 9)))[:40], "cannot be read as a TIFF"),
    ],
    ids=["empty", "no image", "cut short", "a bomb", "large", "a stack", "other numbers", "a TIFF cut short"],
)
def test_an_image_that_cannot_be_read_keeps_the_others_from_nothing(content: bytes, says: str, tmp_path: Path) -> None:
    name = "2.tif" if content[:2] == b"II" else "2.png"
    source = archive_of(tmp_path / "in.zip", {"1.png": picture("1.png"), name: content, "3.png": picture("3.png")})
    done = embedded(source, tmp_path / "out")
    vectors, index = np.load(tmp_path / "out" / "vectors.npy"), pq.read_table(tmp_path / "out" / "index.parquet")
    assert np.isnan(vectors).any(axis=1).tolist() == np.isnan(vectors).all(axis=1).tolist() == [False, True, False]
    assert [bool(error) for error in index["error"].to_pylist()] == [False, True, False]
    ((file, error),) = done.errors
    assert file == name
    with pytest.raises(WrongUse, match=says):
        raise WrongUse(error)


def test_colour_of_16_bits_is_read_from_a_tiff_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 1 << 16, (20, 30, 3), np.uint16)
    source = folder_of(tmp_path / "in", {"1.tif": tiff(pixels, photometric="rgb")})
    assert not embedded(source, tmp_path / "out").errors


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A write to a mapped file would kill the process."""
    source = folder_of(tmp_path / "in", {f"{number}.png": picture("1.png") for number in range(20)})
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most[1]))
    try:
        with pytest.raises(WrongUse, match="File too large"):
            embedded(source, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
        signal.signal(signal.SIGXFSZ, former)
    assert not (tmp_path / "out").exists()


def test_a_member_that_grows_beyond_all_bounds_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_cells, "MAX_BYTES", 1 << 20)
    source = archive_of(tmp_path / "in.zip", {"1.png": bytes(50 << 20), "2.png": picture("2.png")})
    assert source.stat().st_size < 1 << 20
    ((file, error),) = embedded(source, tmp_path / "out").errors
    assert (file, "larger than 1 MiB" in error) == ("1.png", True)


def damaged(path: Path) -> Path:
    """An archive whose member's bytes are not those that its checksum is of."""
    source = archive_of(path, {"1.png": bytes(range(256)) * 40, "2.png": picture("2.png")})
    content = bytearray(source.read_bytes())
    content[60:90] = bytes(30)
    source.write_bytes(bytes(content))
    return source


def test_a_member_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    ((file, error),) = embedded(damaged(tmp_path / "in.zip"), tmp_path / "out").errors
    assert (file, "cannot be read from its archive" in error) == ("1.png", True)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"1.png": picture("1.png"), "2.png": picture("2.png")})
    with single_cells.opened(source) as pictures:
        (source / "1.png").unlink()
        with pytest.raises(WrongUse, match=r"1\.png cannot be read"):
            pictures[0].pixels()
        assert pictures[1].pixels().ndim == 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"1.png": picture("1.png")})
    with pytest.raises(WrongUse, match="choose another folder with --out"):
        embed(source, source / "1.png", DataFolder(tmp_path / "data"), "morphology", 0.5, lambda *_: None)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path / "nowhere", "there is no folder or archive"),
        (lambda path: folder_of(path / "in", {"a.txt": b"-"}), "there are no images"),
        (lambda path: archive_of(path / "in.zip", {}), "there are no images"),
        (lambda path: folder_of(path, {"in.zip": b"PK\3\4 no more"}) / "in.zip", "neither a folder nor a whole zip"),
        (lambda path: archive_of(path / "in.zip", {"../../1.png": picture("1.png")}), "names of images .* not plain"),
        (lambda path: archive_of(path / "in.zip", {"/etc/1.png": picture("1.png")}), "names of images .* not plain"),
    ],
)
def test_what_is_no_set_of_images_is_refused_before_anything_is_written(
    make: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongUse, match=says):
        embedded(make(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("1.png", picture("1.png"))
        archive.writestr("1.png", picture("2.png"))
    with pytest.raises(WrongUse, match=r"more than one image 1\.png"):
        embedded(tmp_path / "in.zip", tmp_path / "out")


def test_an_embedder_that_is_not_there_is_named_with_what_brings_it(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"1.png": picture("1.png")})
    with pytest.raises(ModelUnavailable, match="morula models add resnet50 FILE"):
        embedded(source, tmp_path / "out", name="resnet50")


def test_the_verb_tells_what_failed(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"1.png": picture("1.png"), "2.png": b"-"})
    words = ["embed", str(source), "--out", str(tmp_path / "out"), "--data", str(tmp_path / "data"), "--json"]
    ended = CliRunner().invoke(app, words)
    assert isinstance(ended.exception, Failure)
    assert "1 of 2 images have no vector, the first is 2.png" in str(ended.exception)
    told = json.loads(ended.stdout)
    assert (told["count"], [each["file"] for each in told["failed"]]) == (2, ["2.png"])
