"""References and words of the contract, as the store and the cores know them."""

from __future__ import annotations

from collections.abc import Mapping

from morula.common.stain import Stain
from morula.common.store import Stored
from morula.v1 import artifact_pb2
from morula.v1.artifact_pb2 import ObjectRef

_STAINS: Mapping[Stain, str] = {
    "H&E": "STAIN_HE",
    "IHC": "STAIN_IHC",
    "fluorescence": "STAIN_FLUORESCENCE",
    "other": "STAIN_OTHER",
}


def ref_of(stored: Stored) -> ObjectRef:
    """What lies in the store, for a message: the digest proves which bytes are meant."""
    return ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def key_of(ref: ObjectRef) -> tuple[str, str]:
    """Key and sha256, for reading."""
    return ref.key, ref.sha256


def stain_of(message: int) -> Stain | None:
    """The word for a stain of the contract; None where it is not known."""
    return next((word for word, name in _STAINS.items() if artifact_pb2.Stain.Value(name) == message), None)


def stain_message(stain: Stain | None) -> str:
    """The contract's name for a stain."""
    return "STAIN_UNSPECIFIED" if stain is None else _STAINS[stain]
