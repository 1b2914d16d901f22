"""What is special about a folder as a store; what all stores share is tested in tests/integration/test_store.py."""

import os
import shutil
import time
from pathlib import Path

import pytest

from morula.common.errors import ArtifactChanged, InvalidArgument, KeyInvalid, StorageFull
from morula.common.store import ABANDONED_S, FolderStore, open_store
from tests.servers.disks import filled, small_disk

KEY = "p/s/plan/a.bin"


def digests(root: Path) -> list[Path]:
    return [path for path in (root / ".morula" / "sha256").rglob("*") if path.is_file()]


def test_digests_heal(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    stored = store.put(KEY, b"content")
    (digest,) = digests(tmp_path)
    for damage in (b"", b"{", b"[]", b'{"sha256": 1}'):
        digest.write_bytes(damage)
        assert store.stat(KEY) == stored
    digest.unlink()
    assert FolderStore(tmp_path).stat(KEY) == stored
    assert len(digests(tmp_path)) == 1


def test_a_file_that_changed_under_the_store_is_told_by_its_digest(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    stored = store.put(KEY, b"content")
    (tmp_path / KEY).write_bytes(b"other content")
    with pytest.raises(ArtifactChanged):
        store.get(KEY, stored.sha256)
    changed = store.stat(KEY)
    assert changed
    assert changed.sha256 != stored.sha256


def test_bytes_that_rot_in_place_are_noticed_without_a_digest_too(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(KEY, b"content")
    path = tmp_path / KEY
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(b"c0ntent")
    os.utime(path, ns=times)
    with pytest.raises(ArtifactChanged):
        store.get(KEY)


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
    "url", ["", "objects", "file://host/objects", "file:objects", "s3://", "http://h/x", "s3://b?endpoint=h"]
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
            with pytest.raises(StorageFull, match=r"no room to write p/new: 0 MiB are free"):
                store.put("p/new", bytes(5000))
            assert store.stat("p/new") is None
            assert store.stat("p/old") == put
            assert store.get("p/old") == b"kept"
            assert not list((disk / ".morula" / "temporary").iterdir())
        assert store.put("p/new", bytes(5000)).size_bytes == 5000
