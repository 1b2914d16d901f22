"""Converts references to artifacts and slides between records, the store and messages."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from morula.v1.artifact_pb2 import ObjectRef, SlideFile, SlideRef

M = TypeVar("M", bound=Message)


def to_json(message: Message) -> dict[str, Any]:
    """A message as a JSON object for a record."""
    stored: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return stored


def from_json(stored: Mapping[str, Any], kind: type[M]) -> M:
    """A message from a record; fields of a newer version are ignored."""
    message: M = kind()
    ParseDict(dict(stored), message, ignore_unknown_fields=True)
    return message


def row_ref(row: Mapping[str, Any]) -> ObjectRef:
    """The object that a row of the ledger names."""
    return ObjectRef(key=row["key"], sha256=row["sha256"], size_bytes=row["size_bytes"])


def slide_ref(slide: Mapping[str, Any], files: Sequence[Mapping[str, Any]], mpp: float | None = None) -> SlideRef:
    """The slide as services know it; `mpp` is what a request states, else the slide's own counts."""
    return SlideRef(
        digest=slide["digest"],
        entry=slide["entry"],
        files=[SlideFile(name=file["name"], object=row_ref(file)) for file in files],
        mpp=mpp or 0.0,
    )
