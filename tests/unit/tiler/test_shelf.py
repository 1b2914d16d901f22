"""Slides by reference: laid out, kept open while in use, closed when others are used more."""

import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from morula.common.compute import Checkpoint
from morula.common.errors import ArtifactMissing, InvalidArgument, SlideScaleUnknown, SlideUnreadable
from morula.common.folder import FolderStore
from morula.common.keys import slide_digest
from morula.common.refs import ref_of
from morula.common.store import Stored
from morula.common.testing import write_slide
from morula.tiler import shelf as module
from morula.tiler.probe import Description, describe
from morula.tiler.readers import open_slide
from morula.tiler.shelf import Shelf, slide_mpp
from morula.tiler.slide import Level, Scale, Slide
from morula.v1.artifact_pb2 import SlideFile, SlideRef

NOWHERE = Stored("k", "0" * 64, 1)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Vets in this process, which is quicker, and notes what was vetted."""
    seen: list[Path] = []

    def here(path: Path, mates: Collection[str], _checkpoint: Checkpoint) -> Description:
        seen.append(path)
        with open_slide(path, mates) as slide:
            return describe(slide)

    monkeypatch.setattr(module, "probe", here)
    return seen


@pytest.fixture
def opened_at(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Notes what is opened to stay open."""
    seen: list[Path] = []

    def here(path: Path, mates: Collection[str]) -> Slide:
        seen.append(path)
        return open_slide(path, mates)

    monkeypatch.setattr(module, "open_slide", here)
    return seen


def manifest(names: list[str], stored: Stored = NOWHERE, mpp: float = 0.0) -> SlideRef:
    """A slide of files that all have the same bytes."""
    digest = slide_digest([(name, stored.sha256, stored.size_bytes) for name in names], names[0])
    files = [SlideFile(name=name, object=ref_of(stored)) for name in names]
    return SlideRef(digest=digest, entry=names[0], files=files, mpp=mpp)


def shelved(store: FolderStore, folder: Path, name: str, seed: int = 0) -> SlideRef:
    write_slide(folder / name, 300, 300, seed=seed)
    return manifest([name], store.put(f"files/{name}", folder / name))


def test_a_slide_is_vetted_once_and_closed_when_others_are_used(
    tmp_path: Path, probed: list[Path], opened_at: list[Path]
) -> None:
    store = FolderStore(tmp_path / "store")
    one, other = (shelved(store, tmp_path, f"{seed}.tiff", seed) for seed in (1, 2))
    shelf = Shelf(store, max_open=1)
    for _ in range(3):
        with shelf.open(one) as opened:
            opened.slide.read(0, 0, 0, 8, 8)
    assert [path.name for path in probed] == ["1.tiff"]
    with shelf.open(one) as held:
        with shelf.open(other):
            pass
        assert held.slide.read(0, 0, 0, 8, 8).shape == (8, 8, 3), "what is in use stays open"
    assert not opened_at[1].parent.exists()
    with shelf.open(other):
        pass
    assert not opened_at[0].parent.exists(), "the older one is gone, its folder too"
    assert opened_at[2].parent.exists()
    assert [path.name for path in probed] == ["1.tiff", "2.tiff"], "it was vetted when it was opened first"
    shelf.close()
    assert not opened_at[2].parent.exists()


def test_many_who_want_a_slide_at_once_fetch_it_once(tmp_path: Path, probed: list[Path]) -> None:
    store = FolderStore(tmp_path / "store")
    source = shelved(store, tmp_path, "a.tiff")
    shelf, ready, seen = Shelf(store), threading.Barrier(4), []

    def look() -> None:
        ready.wait()
        with shelf.open(source) as opened:
            seen.append(opened)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(probed) == 1
    assert len(seen) == 4
    shelf.close()


def test_a_slide_that_failed_leaves_nothing_and_can_be_tried_again(tmp_path: Path, probed: list[Path]) -> None:
    store = FolderStore(tmp_path / "store")
    stored = store.put("files/words.svs", b"no slide")
    words = manifest(["words.svs"], stored)
    shelf = Shelf(store)
    for _ in range(2):
        with pytest.raises(SlideUnreadable), shelf.open(words):
            pass
    assert len(probed) == 2
    assert not any(path.parent.exists() for path in probed)
    store.delete("files/words.svs")
    with pytest.raises(ArtifactMissing), shelf.open(words):
        pass


def test_a_stated_scale_goes_before_the_files_own(tmp_path: Path) -> None:
    level = (Level(10, 10, 1.0),)
    stated, silent = manifest(["a.svs"], mpp=0.3), manifest(["a.svs"])
    assert slide_mpp(stated, Description("x", Scale(0.25), level)) == 0.3
    assert slide_mpp(silent, Description("x", Scale(0.25), level)) == 0.25
    with pytest.raises(SlideScaleUnknown, match="pass microns per pixel"):
        slide_mpp(silent, Description("x", Scale(), level))
    with pytest.raises(InvalidArgument, match="no scale"):
        module._check(manifest(["a.svs"], mpp=1000.0))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.vms", "../b.jpg"], "no name of a slide's file"),
        (["a.vms", "/b.jpg"], "no name of a slide's file"),
        (["a.vms", "b\0.jpg"], "no name of a slide's file"),
        (["a.vms", "b" * 256], "no name of a slide's file"),
        (["a.vms", "b.jpg", "./b.jpg"], "two of the slide's files have one name"),
        (["a.vms", "b", "b/c/d.jpg"], "lies below another"),
    ],
)
def test_files_that_have_no_place_each_are_refused(names: list[str], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        module._check(manifest(names))
