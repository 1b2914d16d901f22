"""One contract for all stores: the folder, and the bucket of a real S3 server."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PosixPath

import boto3
import pytest

from morula.common.errors import (
    ArtifactChanged,
    ArtifactMissing,
    FailedPrecondition,
    KeyInvalid,
    PermissionDenied,
    StorageFull,
    TooLarge,
    Unavailable,
)
from morula.common.folder import FolderStore
from morula.common.store import Store, Stored, open_store, put_exactly
from tests.servers.ceph import S3Server
from tests.servers.require import free_ports

KEY = "project/slide/plan/abc.parquet"
WRITER_COUNT = 32
WRITER_BYTES = 16 << 20


@pytest.fixture(params=["folder", "s3"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}/objects"
    server: S3Server = request.getfixturevalue("s3_server")
    url: str = request.getfixturevalue("s3_url")
    monkeypatch.setenv("MORULA_TEST_S3_KEYS", f"{server.access_key}:{server.secret_key}")  # read by processes too
    return url


@pytest.fixture
def store(store_url: str) -> Store:
    return opened(store_url)


def opened(url: str) -> Store:
    access_key, _, secret_key = os.environ.get("MORULA_TEST_S3_KEYS", "").partition(":")
    return open_store(url, access_key=access_key, secret_key=secret_key)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sources(content: bytes, folder: Path) -> Iterator[bytes | Path | io.BufferedIOBase]:
    yield content
    (folder / "source").write_bytes(content)
    yield folder / "source"
    yield io.BytesIO(content)


def test_what_is_put_is_what_is_got(store: Store, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    for number, source in enumerate(sources(content, tmp_path)):
        key = f"project/slide/plan/{number}.bin"
        expected = Stored(key, sha256(content), len(content))
        first, again = store.put(key, source), store.put(key, b"later")  # type: ignore[arg-type] # BytesIO is a stream
        assert (first, again) == (expected, expected)
        assert (first.created, again.created) == (True, False)
        assert store.stat(key) == expected
        assert store.get(key) == content
        assert store.get(key, expected.sha256) == content
        with store.open(key) as stream:
            assert stream.read(7) == content[:7]
            assert stream.read() == content[7:]
        with store.local_path(key, expected.sha256) as path:
            assert path.read_bytes() == content


def test_an_empty_object_is_an_object(store: Store) -> None:
    assert store.put(KEY, b"") == Stored(KEY, sha256(b""), 0)
    assert store.get(KEY) == b""
    with store.local_path(KEY) as path:
        assert path.read_bytes() == b""


def test_the_first_writer_wins(store: Store) -> None:
    first = store.put(KEY, b"first")
    assert store.put(KEY, b"second") == first
    assert store.put_large(KEY, b"third") == first
    assert store.get(KEY) == b"first"


def test_what_is_not_there_is_missing(store: Store) -> None:
    assert store.stat(KEY) is None
    store.delete(KEY)
    for read in (
        lambda: store.get(KEY),
        lambda: store.verify(KEY, sha256(b"")),
        lambda: store.open(KEY).__enter__(),
        lambda: store.local_path(KEY).__enter__(),
    ):
        with pytest.raises(ArtifactMissing):
            read()


def test_other_bytes_than_expected_are_refused(store: Store) -> None:
    store.put(KEY, b"these")
    with pytest.raises(ArtifactChanged):
        store.get(KEY, sha256(b"those"))
    with pytest.raises(ArtifactChanged):
        store.local_path(KEY, sha256(b"those")).__enter__()


def damage(store: Store, store_url: str, key: str, *, remembered: bool) -> None:
    """Zeroes in the middle, behind the store's back; in a bucket with or without what it was written as."""
    content = store.get(key)
    wrong = content[: len(content) // 2] + bytes(4) + content[len(content) // 2 + 4 :]
    if isinstance(store, FolderStore):
        (Path(store_url.removeprefix("file://")) / key).write_bytes(wrong)
        return
    metadata = {"sha256": sha256(content)} if remembered else {}
    bucket = store_url.removeprefix("s3://").split("?")[0]
    store._bucket._boto3.put_object(Bucket=bucket, Key=key, Body=wrong, Metadata=metadata)  # type: ignore[attr-defined]


@pytest.mark.parametrize("remembered", [True, False])
def test_bytes_damaged_behind_the_stores_back_are_never_given(store: Store, store_url: str, remembered: bool) -> None:
    content = os.urandom(4096)
    put = store.put(KEY, content)
    damage(store, store_url, KEY, remembered=remembered)
    for read in (
        lambda: store.get(KEY, put.sha256),
        lambda: store.open(KEY, put.sha256).__enter__(),
        lambda: store.local_path(KEY, put.sha256).__enter__(),
        lambda: store.verify(KEY, put.sha256),
    ):
        with pytest.raises(ArtifactChanged):
            read()
    if remembered:
        for believe in (lambda: store.get(KEY), lambda: store.open(KEY).__enter__(), lambda: store.put_large(KEY, b"")):
            with pytest.raises(ArtifactChanged):
                believe()


def test_delete_makes_room_for_another_writer(store: Store) -> None:
    store.put(KEY, b"old")
    store.delete(KEY)
    assert store.stat(KEY) is None
    store.put(KEY, b"new")
    assert store.get(KEY) == b"new"


def test_list_is_by_prefix_in_key_order(store: Store) -> None:
    keys = ["a/b/1", "a/b/2", "a/b-c", "a/bc/3", "b/1"]
    for key in keys:
        store.put(key, key.encode())
    assert [stored.key for stored in store.list("")] == sorted(keys)
    assert [stored.key for stored in store.list("a/b")] == ["a/b-c", "a/b/1", "a/b/2", "a/bc/3"]
    assert [stored.key for stored in store.list("a/b/")] == ["a/b/1", "a/b/2"]
    assert list(store.list("c/")) == []
    assert next(store.list("b/")) == Stored("b/1", sha256(b"b/1"), 3)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "s3://x/y", "a\\b", ".morula/x", "a\n"]
)
def test_hostile_keys_are_refused_everywhere(store: Store, key: str) -> None:
    for use in (
        lambda: store.put(key, b""),
        lambda: store.put_large(key, b""),
        lambda: store.get(key),
        lambda: store.stat(key),
        lambda: store.delete(key),
        lambda: store.verify(key, sha256(b"")),
        lambda: store.open(key).__enter__(),
        lambda: store.local_path(key).__enter__(),
    ):
        with pytest.raises(KeyInvalid):
            use()


def test_keys_may_be_any_text(store: Store) -> None:
    key = "projekt/Größe 1/schnitt (2)+&=?#%.svs"
    store.put(key, b"x")
    assert store.get(key) == b"x"
    assert [stored.key for stored in store.list("projekt/")] == [key]


def test_put_large_takes_more_than_one_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morula.common.bucket.PART_BYTES", 5 << 20)
    content = os.urandom(12 << 20)
    assert store.put_large(KEY, io.BytesIO(content)) == Stored(KEY, sha256(content), len(content))
    assert store.get(KEY, sha256(content)) == content


class Cut(io.FileIO):
    """A file that somebody cuts short; in a bucket it is hashed by then."""

    def read(self, size: int | None = -1, /) -> bytes:
        os.truncate(self.name, 1 << 20)
        return super().read(size) or b""


class Shrinking(PosixPath):
    def open(self, *_args: object, **_options: object) -> Cut:  # type: ignore[override] # it is opened to be read
        return Cut(self)


def test_a_file_that_shrinks_while_it_is_stored_has_changed(store: Store, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "slide.svs").write_bytes(content)
    with pytest.raises(ArtifactChanged):
        put_exactly(store, KEY, Shrinking(tmp_path / "slide.svs"), sha256(content))
    assert store.stat(KEY) is None


def test_an_artifact_has_a_limit_in_a_bucket(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morula.common.s3.MAX_ARTIFACT_BYTES", 10)
    if not isinstance(store, FolderStore):
        with pytest.raises(TooLarge):
            store.put(KEY, b"12345678901")
        assert store.stat(KEY) is None


_WRITER = """
import os, sys
sys.path[:0] = {path!r}
from tests.integration.test_store import Slow, opened
opened({url!r}).put({key!r}, Slow())
"""


class Slow(io.RawIOBase):
    """Says that reading began, then gives bytes until it is killed."""

    def __init__(self) -> None:
        self.read_count = 0

    def read(self, size: int = -1) -> bytes:
        self.read_count += 1
        if self.read_count == 24:
            sys.stdout.write("writing\n")
            sys.stdout.flush()
        if self.read_count > 24:
            signal.pause()
        return b"x" * (1 << 20)


def test_a_killed_writer_leaves_nothing_to_be_seen(store: Store, store_url: str) -> None:
    script = _WRITER.format(path=[*sys.path], url=store_url, key=KEY)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert store.stat(KEY) is None
    assert list(store.list("")) == []
    assert store.put(KEY, b"the next one") == Stored(KEY, sha256(b"the next one"), 12)


_SENDER = """
import signal, socket, sys
sys.path[:0] = {path!r}
from tests.integration.test_store import opened
send, sent = socket.socket.sendall, 0

def sendall(self, data, *flags):
    global sent
    send(self, data, *flags)
    sent += len(data)
    if sent > 8 << 20:
        print("sending", flush=True)
        signal.pause()

socket.socket.sendall = sendall
opened({url!r}).put({key!r}, bytes(32 << 20))
"""


def test_a_writer_that_is_killed_while_it_sends_leaves_nothing(
    s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORULA_TEST_S3_KEYS", f"{s3_server.access_key}:{s3_server.secret_key}")
    store = opened(s3_url)
    script = _SENDER.format(path=[*sys.path], url=s3_url, key=KEY)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"sending\n"
        assert store.stat(KEY) is None
        process.kill()
    assert store.stat(KEY) is None
    assert list(store.list("")) == []
    assert store.put(KEY, b"the next one") == Stored(KEY, sha256(b"the next one"), 12)


class Prefixed(io.RawIOBase):
    """16 MiB that differ in their first block only, so that 32 of them do not fill the memory."""

    def __init__(self, number: int, shared: bytes) -> None:
        self._blocks = iter(
            [number.to_bytes(4, "big") * (len(shared) // 4), *[shared] * (WRITER_BYTES // len(shared) - 1)]
        )

    def read(self, size: int = -1) -> bytes:
        return next(self._blocks, b"")


@pytest.mark.slow
def test_of_32_writers_of_16_mib_one_wins(store_url: str) -> None:
    shared = os.urandom(1 << 20)
    together = threading.Barrier(WRITER_COUNT)

    def write(number: int) -> Stored:
        own = opened(store_url)
        together.wait()
        return own.put(KEY, Prefixed(number, shared))  # type: ignore[arg-type] # a binary stream as far as it goes

    with ThreadPoolExecutor(WRITER_COUNT) as writers:
        results = list(writers.map(write, range(WRITER_COUNT)))
    assert len(set(results)) == 1
    content = opened(store_url).get(KEY, results[0].sha256)
    winner = int.from_bytes(content[:4], "big")
    assert winner < WRITER_COUNT
    assert content == winner.to_bytes(4, "big") * (len(shared) // 4) + shared * (WRITER_BYTES // len(shared) - 1)


def test_an_object_that_others_wrote_is_hashed(s3_server: S3Server, s3_url: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
        region_name="us-east-1",
    )
    client.put_object(Bucket=s3_url.removeprefix("s3://").split("?")[0], Key=KEY, Body=b"by others")
    client.close()
    store = open_store(s3_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key)
    assert store.stat(KEY) == Stored(KEY, sha256(b"by others"), 9)
    assert store.get(KEY) == b"by others"


def test_wrong_keys_and_buckets_are_told(s3_server: S3Server, s3_url: str) -> None:
    wrong = open_store(s3_url, access_key=s3_server.access_key, secret_key="wrong")
    for use in (
        lambda: wrong.get(KEY),
        lambda: wrong.stat(KEY),
        lambda: list(wrong.list("")),
        lambda: wrong.put(KEY, b""),
    ):
        with pytest.raises(PermissionDenied):
            use()
    nowhere = open_store(
        s3_server.url("no-such-bucket"), access_key=s3_server.access_key, secret_key=s3_server.secret_key
    )
    for use in (
        lambda: nowhere.get(KEY),
        lambda: nowhere.stat(KEY),
        lambda: list(nowhere.list("")),
        lambda: nowhere.put(KEY, b""),
    ):
        with pytest.raises(FailedPrecondition, match="NoSuchBucket"):
            use()


def test_a_quota_that_is_used_up_is_no_outage(s3_server: S3Server, s3_url: str) -> None:
    store = open_store(s3_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key)
    s3_server.set_quota(4096)
    try:
        with pytest.raises(StorageFull, match="QuotaExceeded"):
            store.put(KEY, bytes(100_000))
    finally:
        s3_server.set_quota(None)
    store.put(KEY, bytes(100_000))


def test_a_server_that_is_down_is_unavailable() -> None:
    (port,) = free_ports(1)
    store = open_store(f"s3://bucket?endpoint=http://127.0.0.1:{port}", access_key="a", secret_key="b")
    for use in (lambda: store.get(KEY), lambda: list(store.list(""))):
        with pytest.raises(Unavailable):
            use()
