"""Rows of an operator's files: written, read again, and read as earlier versions wrote them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from morula.common.errors import ModelUnavailable
from morula.common.fetch_weights import fetch
from morula.common.folder import FolderStore
from morula.common.models import FAMILIES, Description, families
from morula.common.weights import WeightsFolder

SHA256 = "a" * 64
ROW = families()["cellpose-sam"]
# As `morula models add` wrote it before identity and description were two things.
EARLIER = {
    "name": "mine",
    "task": "segmenter",
    "object_kind": "nucleus",
    "mpp": 0.25,
    "object_um": 8.0,
    "channels": ["gray", "none"],
    "licence": "CC-BY-4.0",
    "trained_on": "our slides",
    "commercial": True,
    "shard_tile_count": 16,
    "weights_sha256": SHA256,
    "family": "cellpose-unet",
    "files": [["network", SHA256]],
    "columns": [],
    "location": [],
    "scale": [],
}


def write(folder: Path, row: object) -> WeightsFolder:
    (folder / "mine.json").write_text(json.dumps(row))
    return WeightsFolder(folder)


@pytest.mark.parametrize(("commercial", "word"), [(True, "yes"), (False, "no")])
def test_a_row_of_an_earlier_version_is_read(tmp_path: Path, commercial: bool, word: str) -> None:
    (row,) = write(tmp_path, EARLIER | {"commercial": commercial}).rows()
    assert row.description == Description("CC-BY-4.0", "our slides", word)  # type: ignore[arg-type]
    family = families()["cellpose-unet"]
    assert row == replace(family, name="mine", mpp=0.25, files=(("network", SHA256),), description=row.description)


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "any.pth"
    file.write_bytes(b"weights")
    folder = WeightsFolder(tmp_path / "weights")
    added = folder.add(replace(ROW, name="mine", mpp=0.25), [("network", file)])
    assert folder.rows() == [added]
    assert folder.rows()[0].revision == added.revision


def test_weights_are_fetched_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "any.pth"
    file.write_bytes(b"weights")
    bucket = tmp_path / "objects" / "shared" / "weights"
    added = WeightsFolder(bucket).add(replace(ROW, name="mine", mpp=0.25), [("network", file)])
    store = FolderStore(tmp_path / "objects")
    folder = tmp_path / "pod"
    assert fetch(store, "shared/weights", folder) == [added]
    assert fetch(store, "shared/weights", folder) == [added], "what is there is not fetched again"
    assert WeightsFolder(folder).files(added)[0][1].read_bytes() == b"weights"
    with pytest.raises(ModelUnavailable, match="no row"):
        fetch(store, "elsewhere", folder)
    (bucket / "README.md").write_text("whose these are")
    (bucket / f"{'b' * 64}.pth").write_bytes(b"of no row")
    assert fetch(store, "shared/weights", tmp_path / "third pod") == [added]
    assert len(list((tmp_path / "third pod").iterdir())) == 2, "what no row names is left alone"
    row = (bucket / "mine.json").read_text()
    (bucket / "other.json").write_text(row.replace(added.files[0][1], "b" * 64))
    with pytest.raises(ModelUnavailable, match="changed or damaged"):
        fetch(store, "shared/weights", tmp_path / "second pod")
    assert WeightsFolder(tmp_path / "second pod").rows() == []


def test_what_is_no_finished_row_is_not_read_as_one(tmp_path: Path) -> None:
    """What a killed `morula models add` leaves, and weights whose file is named as a row is."""
    file = tmp_path / "weights.json"
    file.write_bytes(b"weights")
    folder = WeightsFolder(tmp_path / "weights")
    added = folder.add(ROW, [("network", file)])
    (tmp_path / "weights" / ".mine.json").write_text('{"name": "mi')
    assert folder.rows() == [added]
    assert folder.files(added)[0][1].read_bytes() == b"weights"


def test_a_row_follows_the_code_of_its_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our code's revision is not the file's: what was added before it was raised has it, too."""
    file = tmp_path / "any.pth"
    file.write_bytes(b"weights")
    folder = WeightsFolder(tmp_path / "weights")
    added = folder.add(ROW, [("network", file)])
    raised = [replace(row, code_revision=row.code_revision + 1) for row in FAMILIES]
    monkeypatch.setattr("morula.common.models.FAMILIES", raised)
    assert folder.rows() == [replace(added, code_revision=added.code_revision + 1)]
    assert folder.rows()[0].revision != added.revision


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"family": "stardist"}, "no family of networks 'stardist'"),
        ({"stride": 3}, "does not know stride"),
        ({"mpp": "wide"}, "mpp"),
        ({"licence": None, "commercial": None}, "licence"),
        ({"shard_tile_count": 0}, "1 to 256"),
        ({"files": [["network", "/etc/passwd"]]}, "network file '/etc/passwd' is not named by a SHA-256"),
        ({"files": [["network", "*"]]}, "SHA-256"),
        ({"files": [["network", f"{SHA256}\n"]]}, "SHA-256"),
    ],
)
def test_a_row_that_this_version_cannot_mean_is_refused(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        write(tmp_path, EARLIER | change).rows()


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"description": 1}', "[" * 200_000])
def test_what_is_no_row_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(ModelUnavailable, match="not a row of the registry"):
        WeightsFolder(tmp_path).rows()
