"""A folder of results is whole, or it is not there."""

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from morula.common.keys import STAGE_REVISIONS, slide_digest
from morula.common.models import REGISTRY
from morula.gateway.pipeline.params import PIPELINE_REVISION, Choices, make_params
from morula.onebox.failures import Failure, Unreadable, WrongUse
from morula.onebox.machine import numerics
from morula.onebox.results import (
    MANIFEST,
    check_out,
    digest_of,
    entry_path,
    fetch,
    find_slides,
    is_finished,
    only_slide,
)

MPP = {"preset": "default", "mpp": 0.5}
REQUEST = {"slide_digest": "d", **MPP}
PARAMS = make_params(Choices(mpp=0.5), 0.25, numerics=numerics())
MADE = {"pipeline_revision": PIPELINE_REVISION, "stage_revisions": STAGE_REVISIONS, "params": PARAMS.to_json()}
FILES = {"cells.parquet": b"cells", "manifest.json": json.dumps(MADE).encode()}


class Folder:
    """Stands where the gateway stands: files of a job from memory."""

    def __init__(self, files: dict[str, bytes], damaged: str = "") -> None:
        self.files, self.damaged = files, damaged

    def get(self, path: str) -> dict[str, Any]:
        return {"files": [{"name": n, "sha256": hashlib.sha256(b).hexdigest()} for n, b in self.files.items()]}

    def download(self, path: str, target: Path) -> None:
        name = path.rsplit("/", 1)[1]
        target.write_bytes(b"?" if name == self.damaged else self.files[name])


def test_fetched_files_are_a_finished_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fetch(Folder(FILES), "1", out, REQUEST) == ["cells.parquet", "manifest.json"]  # type: ignore[arg-type]
    assert sorted(path.name for path in out.iterdir()) == ["cells.parquet", "manifest.json"]
    assert is_finished(out, "d", MPP, REGISTRY)
    assert not is_finished(out, "d", {"preset": "default", "mpp": 0.25}, REGISTRY)
    assert not is_finished(out, "other", MPP, REGISTRY)
    (out / "cells.parquet").write_bytes(b"touched")
    assert not is_finished(out, "d", MPP, REGISTRY)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("pipeline_revision", "0"),
        ("stage_revisions", {**STAGE_REVISIONS, "cells": 0}),
        ("params", {**PARAMS.to_json(), "embedder_revision": "0"}),
        ("files_sha256", {"cells.parquet": "0"}),
    ],
)
def test_a_result_of_another_program_is_not_finished(field: str, other: object, tmp_path: Path) -> None:
    fetch(Folder(FILES), "1", tmp_path, REQUEST)  # type: ignore[arg-type]
    manifest = json.loads((tmp_path / MANIFEST).read_bytes())
    whole = manifest.pop(field)
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert not is_finished(tmp_path, "d", MPP, REGISTRY)
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, field: other}))
    assert not is_finished(tmp_path, "d", MPP, REGISTRY)
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, field: whole}))
    assert is_finished(tmp_path, "d", MPP, REGISTRY)


def test_a_place_for_results_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    check_out(tmp_path / "deep" / "out")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WrongUse, match=f"cannot write to {wrong}: .*--out"):
            check_out(wrong)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    gateway = Folder(FILES)
    monkeypatch.setattr(gateway, "download", write)
    with pytest.raises(Failure, match=f"no disk space left in {tmp_path}/out: free some"):
        fetch(gateway, "1", tmp_path / "out", REQUEST)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"cells\.parquet arrived damaged"):
        fetch(Folder(FILES, damaged="cells.parquet"), "1", tmp_path / "out", REQUEST)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_leaves_an_earlier_result_as_it_was(tmp_path: Path) -> None:
    fetch(Folder(FILES), "1", tmp_path, REQUEST)  # type: ignore[arg-type]
    with pytest.raises(Failure):
        fetch(Folder({**FILES, "new.parquet": b"n"}, damaged="new.parquet"), "2", tmp_path, REQUEST)  # type: ignore[arg-type]
    assert is_finished(tmp_path, "d", MPP, REGISTRY)


def test_a_foreign_manifest_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"name": "an app"}))
    with pytest.raises(Failure, match="not written by Morula"):
        is_finished(tmp_path, "d", {}, REGISTRY)


def test_a_model_of_the_operators_own_is_known_to_a_second_run(tmp_path: Path) -> None:
    own = replace(next(spec for spec in REGISTRY if spec.name == "watershed"), name="own")
    asked = {"preset": "default", "segmenter": "own"}
    made = {**MADE, "params": make_params(Choices(segmenter="own"), 0.25, [*REGISTRY, own]).to_json()}
    gateway = Folder({**FILES, "manifest.json": json.dumps(made).encode()})
    fetch(gateway, "1", tmp_path, {"slide_digest": "d", **asked})  # type: ignore[arg-type]
    assert is_finished(tmp_path, "d", asked, [*REGISTRY, own])


def names(slide: Path) -> list[list[str]]:
    return [list(slide) for slide in find_slides(slide)[0]]


def test_parts_of_a_slide(tmp_path: Path) -> None:
    for name in ("a.svs", "b.mrxs", "b/Slidedat.ini", "deep/c.svs", ".hidden.svs", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"a")
    assert names(tmp_path / "a.svs") == [["a.svs"]]
    assert names(tmp_path / "b.mrxs") == [["b.mrxs", "b/Slidedat.ini"]]
    assert names(tmp_path) == [["a.svs"], ["b.mrxs", "b/Slidedat.ini"], ["c.svs"]]
    assert find_slides(tmp_path)[1] == [tmp_path / "notes.txt"]
    assert entry_path(only_slide(tmp_path / "deep")) == tmp_path / "deep" / "c.svs"
    with pytest.raises(WrongUse, match="3 slides"):
        only_slide(tmp_path)
    sha256 = hashlib.sha256(b"a").hexdigest()
    assert digest_of({"a.svs": tmp_path / "a.svs"}) == slide_digest([("a.svs", sha256, 1)], "a.svs")


def test_no_slide_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="is not there"):
        find_slides(tmp_path / "missing.svs")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unreadable, match="no slide in"):
        find_slides(tmp_path / "empty")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Unreadable, match="symbolic links"):
        find_slides(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe.svs")
    with pytest.raises(Unreadable, match="neither a file nor a folder"):
        find_slides(tmp_path / "pipe.svs")
