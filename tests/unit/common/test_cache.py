"""The cache of a bucket's files: bounded, the least recently used go first, a full disk is said to be full."""

import errno
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from morula.common.cache import FileCache
from morula.common.errors import ArtifactChanged, StorageFull
from tests.servers.disks import small_disk


def writing(content: bytes, log: list[str] | None = None, name: str = "") -> Callable[[Path], int]:
    def download(path: Path) -> int:
        path.write_bytes(content)
        if log is not None:
            log.append(name)
        return len(content)

    return download


def test_the_least_recently_used_go_first_and_what_is_read_stays(tmp_path: Path) -> None:
    cache, fetched = FileCache(tmp_path, 25), list[str]()
    for name in ("a", "b", "a", "c", "a", "b"):
        with cache.file(name, writing(b"0123456789", fetched, name)) as path:
            assert path.read_bytes() == b"0123456789"
    assert fetched == ["a", "b", "c", "b"], "b was used longest ago when c came"
    with cache.file("a", writing(b"")) as held:
        for name in "defg":
            with cache.file(name, writing(b"0123456789")):
                pass
        assert held.read_bytes() == b"0123456789"
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 25


def test_room_is_made_when_a_file_comes_not_when_it_is_given_back(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 25)
    for name in "ab":
        with cache.file(name, writing(b"0123456789")):
            pass
    with cache.file("c", writing(b"0123456789")):
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 25


def test_many_readers_at_once_fetch_once_and_a_failed_one_leaves_its_place(tmp_path: Path) -> None:
    cache, tries, ready = FileCache(tmp_path, 100), list[int](), threading.Barrier(8)

    def download(path: Path) -> int:
        tries.append(1)
        path.write_bytes(b"half" if len(tries) == 1 else b"0123456789")
        if len(tries) == 1:
            raise ArtifactChanged("of another digest")
        return 10

    def read() -> bytes:
        ready.wait()
        with cache.file("a", download) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        ended = [pool.submit(read) for _ in range(8)]
    failures = [one for one in ended if one.exception()]
    assert [type(one.exception()) for one in failures] == [ArtifactChanged]
    assert {one.result() for one in ended if one not in failures} == {b"0123456789"}
    assert len(tries) == 2


def test_a_disk_that_is_really_full_is_told_and_can_be_used_again(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64 << 10):
        cache = FileCache(tmp_path, 1 << 20)
        full = pytest.raises(StorageFull, match="not enough disk space to fetch")
        with cache.file("a", writing(bytes(40 << 10))), full, cache.file("b", writing(bytes(40 << 10))):
            pass
        with cache.file("b", writing(bytes(40 << 10))) as path:  # What nobody reads any more gives way.
            assert path.stat().st_size == 40 << 10


def test_a_full_disk_takes_what_nobody_reads_and_is_then_told(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 1000)
    with cache.file("old", writing(b"0123456789")) as path:
        old = path
    assert old.exists()

    def no_room(_path: Path) -> int:
        with Path("/dev/full").open("wb", buffering=0) as full:
            return full.write(b"x")

    with pytest.raises(StorageFull, match="not enough disk space to fetch"), cache.file("new", no_room):
        pass
    assert not old.exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    tries: list[int] = []

    def room_at_last(path: Path) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return writing(b"x")(path)

    with cache.file("new", room_at_last) as path:
        assert path.read_bytes() == b"x"


def test_another_error_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def broken(_path: Path) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError), FileCache(tmp_path, 10).file("a", broken):
        pass
