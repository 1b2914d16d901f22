"""By reference a slide comes with all its files, as they were when they were hashed, and nothing outside is reached."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from morula.common.errors import Conflict, InvalidArgument
from morula.gateway.references import check_unchanged, refer
from tests.unit.common.headers import dicom


def names(folder: Path, reference: str) -> list[str]:
    return [part.name for part in refer({"scans": folder}, f"scans/{reference}")]


def test_a_reference_reaches_files_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.svs").write_bytes(b"slide")
    [part] = refer({"scans": tmp_path}, "scans/one/a.svs")
    assert (part.name, part.size_bytes, part.sha256) == ("a.svs", 5, hashlib.sha256(b"slide").hexdigest())


def test_a_reference_brings_the_files_that_its_format_needs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    contents = {"a.mrxs": b"", "a/Slidedat.ini": b"x", "v.vms": b"ImageFile=v.jpg\n", "v.jpg": b"x", "other.jpg": b"x"}
    contents |= {"1.dcm": dicom(1), "2.dcm": dicom(1), "3.dcm": dicom(2)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert names(tmp_path, "a.mrxs") == ["a.mrxs", "a/Slidedat.ini"]
    assert names(tmp_path, "v.vms") == ["v.jpg", "v.vms"]
    assert names(tmp_path, "2.dcm") == ["1.dcm", "2.dcm"]


@pytest.mark.parametrize(
    "reference",
    [
        *("scans/../secret", "scans//secret", "scans/out/secret", "scans/link", "scans", "other/a", "scans/no"),
        *("scans/loop", "scans/loop/a.svs", "scans/a.vms", "scans/a"),
    ],
)
def test_a_reference_never_leaves_its_folder(reference: str, tmp_path: Path) -> None:
    root = tmp_path / "scans"
    (root / "a").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    (root / "a.vms").write_bytes(b"ImageFile=link\n")
    with pytest.raises(InvalidArgument):
        refer({"scans": root}, reference)


@pytest.mark.parametrize("how", ["written", "replaced", "gone", "written, its time set back"])
def test_a_file_that_changes_after_it_was_hashed_is_seen(how: str, tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"one")
    parts = refer({"scans": tmp_path}, "scans/a.svs")
    check_unchanged(parts)
    before = path.stat()
    if how == "replaced":
        (tmp_path / "b").write_bytes(b"one")
        (tmp_path / "b").replace(path)
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"two")
        if "back" in how:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(Conflict, match=r"a\.svs changed"):
        check_unchanged(parts)
