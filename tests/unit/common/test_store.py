"""What is special about a folder as a store; what all stores share is tested in tests/integration/test_store.py."""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from morula.common.errors import ArtifactChanged, ArtifactMissing, InvalidArgument, KeyInvalid, StorageFull, Unavailable
from morula.common.folder import ABANDONED_S, TICK_NS, FolderStore
from morula.common.store import open_store, put_exactly
from tests.servers.disks import filled, read_only, small_disk

KEY = "p/s/plan/a.bin"
OTHER = "p/s/plan/b.bin"


def digests(root: Path) -> list[Path]:
    return [path for path in (root / ".morula" / "sha256").rglob("*") if path.is_file()]


def settle() -> None:
    """So long that the file system's clock tells the next write from the last."""
    time.sleep(2 * TICK_NS / 1e9)


def zero(path: Path) -> None:
    """Other bytes under the same size and the same times."""
    found = path.stat()
    with path.open("r+b") as stream:
        stream.seek(found.st_size // 2)
        stream.write(bytes(3))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_what_was_laid_by_hand_is_taken_as_it_is_found_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / KEY).parent.mkdir(parents=True)
    (tmp_path / KEY).write_bytes(b"content by hand")
    stored = store.stat(KEY)
    assert stored is not None
    assert stored.sha256 == hashlib.sha256(b"content by hand").hexdigest()
    zero(tmp_path / KEY)
    for opened in (store, FolderStore(tmp_path)):
        with pytest.raises(ArtifactChanged):
            opened.stat(KEY)


@pytest.mark.parametrize("record", [None, b"", b"{", b"[]", b'{"sha256": 1, "proved": 2}'])
def test_without_its_record_an_object_is_as_if_laid_by_hand(tmp_path: Path, record: bytes | None) -> None:
    stored = FolderStore(tmp_path).put(KEY, b"content")
    (path,) = digests(tmp_path)
    path.unlink() if record is None else path.write_bytes(record)
    assert FolderStore(tmp_path).stat(KEY) == stored
    assert len(digests(tmp_path)) == 1


@pytest.mark.parametrize("seen", ["never", "at once", "settled"])
def test_no_read_gives_bytes_that_are_not_those_that_were_written(tmp_path: Path, seen: str) -> None:
    store = FolderStore(tmp_path)
    stored = store.put(KEY, b"content of the object")
    if seen == "settled":
        settle()
    if seen != "never":
        assert store.stat(KEY) == stored
    zero(tmp_path / KEY)
    for opened in (store, FolderStore(tmp_path)):  # neither what this process remembers, nor what the folder does
        for read in (
            lambda: opened.stat(KEY),  # noqa: B023
            lambda: opened.get(KEY),  # noqa: B023
            lambda: opened.get(KEY, stored.sha256),  # noqa: B023
            lambda: opened.open(KEY).__enter__(),  # noqa: B023
            lambda: opened.local_path(KEY).__enter__(),  # noqa: B023
            lambda: opened.local_path(KEY, stored.sha256).__enter__(),  # noqa: B023
            lambda: opened.verify(KEY, stored.sha256),  # noqa: B023
            lambda: opened.put(KEY, b"content of the object"),  # noqa: B023
        ):
            with pytest.raises(ArtifactChanged) as raised:
                read()
            assert raised.value.metadata["key"] == KEY
    assert [one.sha256 for one in store.list("p/")] == [stored.sha256], "what was written there is still known"


def test_a_file_is_hashed_once_as_long_as_nothing_touches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[object] = []
    digest = hashlib.file_digest
    monkeypatch.setattr("hashlib.file_digest", lambda *args: counted.append(args) or digest(*args))
    monkeypatch.setattr("morula.common.folder.LARGE_BYTES", 8)
    store = FolderStore(tmp_path)
    store.put(KEY, b"small")
    store.put("p/large", b"large enough")
    settle()
    for opened in (store, store, FolderStore(tmp_path)):
        assert opened.stat(KEY)
        assert opened.stat("p/large")
    assert len(counted) == 1, "the small one; the large one was seen to settle when it was written"
    os.utime(tmp_path / KEY)
    assert FolderStore(tmp_path).stat(KEY)
    assert len(counted) == 2


def test_what_is_deleted_and_written_anew_is_what_was_written_anew(tmp_path: Path) -> None:
    stores = FolderStore(tmp_path), FolderStore(tmp_path)
    stores[0].put(KEY, b"old")
    settle()
    assert stores[1].get(KEY) == b"old"
    zero(tmp_path / KEY)
    stores[0].delete(KEY)
    assert stores[0].put(KEY, b"new") == stores[1].stat(KEY)
    assert stores[1].get(KEY) == b"new"


def test_exact_bytes_take_the_place_of_whatever_lies_there(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    (tmp_path / "source").write_bytes(b"the right bytes")
    sha256 = hashlib.sha256(b"the right bytes").hexdigest()
    put = functools.partial(put_exactly, store, KEY, tmp_path / "source", sha256)
    assert put().created
    assert not put().created
    zero(tmp_path / "objects" / KEY)
    assert not put().created, "it was there before, and may be somebody's"
    assert store.get(KEY, sha256) == b"the right bytes"
    store.delete(KEY)
    store.put(KEY, b"other bytes")
    assert put().sha256 == sha256


def test_writers_and_deleters_of_one_key_agree(tmp_path: Path) -> None:
    def work(number: int) -> None:
        store = FolderStore(tmp_path)
        for turn in range(25):
            store.put(KEY, f"{number} {turn}".encode())
            with suppress(ArtifactMissing):
                store.get(KEY)
            store.delete(KEY)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    store = FolderStore(tmp_path)
    assert store.stat(KEY) is None
    assert digests(tmp_path) == []


_DYING = """
import os, pathlib, sys
sys.path[:0] = {path!r}
from morula.common.folder import FolderStore
os.link = lambda *_: os.kill(os.getpid(), 9)
FolderStore(pathlib.Path({root!r})).put({key!r}, b"never seen")
"""


def test_a_writer_that_dies_before_it_names_its_file_leaves_no_truth(tmp_path: Path) -> None:
    script = _DYING.format(path=[*sys.path], root=str(tmp_path), key=KEY)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    store = FolderStore(tmp_path)
    assert store.stat(KEY) is None
    assert store.put(KEY, b"the next one") == store.stat(KEY)
    assert store.get(KEY) == b"the next one"


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store = FolderStore(tmp_path / "objects")
    (tmp_path / "objects" / "way").symlink_to(outside)
    (tmp_path / "objects" / "file").symlink_to(outside / "secret")
    for key in ("way/secret", "way/new", "file"):
        for use in (store.get, store.stat, store.delete, lambda key: store.put(key, b"x")):
            with pytest.raises(KeyInvalid):
                use(key)
    assert list(store.list("")) == []
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_key_is_no_folder_and_a_folder_is_no_key(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/b", b"x")
    for key in ("a", "a/b/c"):
        with pytest.raises(KeyInvalid):
            store.put(key, b"y")
        assert store.stat(key) is None
        store.delete(key)
    assert [stored.key for stored in store.list("")] == ["a/b"]


def test_what_dead_writers_left_is_swept_after_a_day(tmp_path: Path) -> None:
    FolderStore(tmp_path)
    folder = tmp_path / ".morula" / "temporary"
    old, young = folder / "old", folder / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - ABANDONED_S - 60,) * 2)
    FolderStore(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["young"]


def test_writing_leaves_no_temporary_files(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, b"x")
    store.put(KEY, b"y")

    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError("the scanner's share went away")

    with pytest.raises(OSError):
        store.put("p/s/plan/b.bin", Broken())  # type: ignore[arg-type]
    assert list((tmp_path / ".morula" / "temporary").iterdir()) == []
    assert store.stat("p/s/plan/b.bin") is None


@pytest.mark.parametrize(
    "url",
    ["", "objects", "file://host/objects", "file:objects", "s3://", "http://h/x", "s3://b?endpoint=h", "file:///x?y"],
)
def test_odd_store_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        open_store(url)


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    store = open_store((tmp_path / "Größe 100%").as_uri())
    store.put(KEY, b"x")
    assert (tmp_path / "Größe 100%" / KEY).read_bytes() == b"x"


def test_a_full_disk_is_told_leaves_nothing_and_can_be_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        store = FolderStore(disk)
        put = store.put("p/old", b"kept")
        shutil.rmtree(disk / ".morula" / "sha256")
        (disk / ".morula" / "sha256").mkdir()
        with filled(disk):
            with pytest.raises(StorageFull, match=r"not enough disk space to write p/new: 0 MiB are free"):
                store.put("p/new", bytes(5000))
            assert store.stat("p/new") is None
            assert store.stat("p/old") == put
            assert store.get("p/old") == b"kept"
            assert not list((disk / ".morula" / "temporary").iterdir())
        assert store.put("p/new", bytes(5000)).size_bytes == 5000


def test_a_disk_that_cannot_be_written_is_told_by_whoever_deletes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        store = FolderStore(disk)
        store.put(KEY, b"kept")
        with read_only(disk), pytest.raises(Unavailable, match=f"cannot delete {KEY}"):
            store.delete(KEY)
        assert store.get(KEY) == b"kept"


def test_a_folder_whose_disk_is_not_mounted_is_away_and_not_empty(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "objects", tmp_path / "elsewhere"
    store = FolderStore(root)
    store.put(KEY, b"kept")
    root.rename(elsewhere)
    asks: list[Callable[[], object]] = [
        lambda: store.stat(KEY),
        lambda: store.get(KEY),
        lambda: store.put(OTHER, b"new"),
        lambda: store.delete(KEY),
        lambda: list(store.list("")),
        lambda: store.local_path(KEY).__enter__(),
    ]
    root.mkdir()  # as a mount point is
    for ask in asks:
        with pytest.raises(Unavailable):
            ask()
    assert list(root.iterdir()) == []
    root.rmdir()
    elsewhere.rename(root)
    assert store.get(KEY) == b"kept"
