"""References of the contract, as the store knows them."""

from __future__ import annotations

from morula.common.store import Stored
from morula.v1 import artifact_pb2


def ref_of(stored: Stored) -> artifact_pb2.ObjectRef:
    """What lies in the store, for a response."""
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def key_of(ref: artifact_pb2.ObjectRef) -> tuple[str, str]:
    """Key and sha256, for reading."""
    return ref.key, ref.sha256
