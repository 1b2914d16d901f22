"""References of the contract, as the store knows them."""

from __future__ import annotations

from morula.common.store import Stored
from morula.v1.artifact_pb2 import ObjectRef


def ref_of(stored: Stored) -> ObjectRef:
    """What lies in the store, for a message: the digest proves which bytes are meant."""
    return ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def key_of(ref: ObjectRef) -> tuple[str, str]:
    """Key and sha256, for reading."""
    return ref.key, ref.sha256
