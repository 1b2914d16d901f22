"""The shards of a settled slide as an artifact: a slide may have more of them than a message has room for."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from morula.common.errors import ArtifactInvalid
from morula.common.store import Store
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide, ShardCells, ShardList


def write_shard_list(shards: Iterable[ShardCells]) -> bytes:
    """The same bytes for the same shards."""
    content: bytes = ShardList(shards=shards).SerializeToString(deterministic=True)
    return content


def read_shard_list(store: Store, ref: ObjectRef) -> list[ShardCells]:
    listed = ShardList()
    try:
        listed.ParseFromString(store.get(ref.key, ref.sha256))
    except DecodeError as error:
        raise ArtifactInvalid(f"{ref.key} is no list of shards", key=ref.key) from error
    return list(listed.shards)


def shards_of(store: Store, settled: SettledSlide) -> list[ShardCells]:
    """The shards that a slide's index points into."""
    return read_shard_list(store, settled.shard_list) if settled.HasField("shard_list") else list(settled.shards)
