"""Required fields, as the protos annotate them: one check for every message there is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from morula.common.errors import MissingField

_MAX_NAMED = 16


def check_required(message: Message) -> None:
    """Raises MissingField with the paths of all required fields that are not set."""
    missing = list(_missing(message, ""))
    if missing:
        named = ", ".join(missing[:_MAX_NAMED])
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise MissingField(f"missing required fields: {named}{more}", fields=named)


def _missing(message: Message, prefix: str) -> Iterator[str]:
    required, nested = _fields(message.DESCRIPTOR)
    for field in required:
        if not _is_set(message, field):
            yield f"{prefix}{field.name}"
    for field in nested:
        if field.is_repeated:
            for number, element in enumerate(getattr(message, field.name)):
                yield from _missing(element, f"{prefix}{field.name}[{number}].")
        elif message.HasField(field.name):
            yield from _missing(getattr(message, field.name), f"{prefix}{field.name}.")


def _is_set(message: Message, field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return len(getattr(message, field.name)) > 0
    if field.has_presence:
        return bool(message.HasField(field.name))
    return bool(getattr(message, field.name) != field.default_value)


@cache
def _fields(descriptor: Descriptor) -> tuple[list[FieldDescriptor], list[FieldDescriptor]]:
    """Required fields, and fields that hold messages which may have some."""
    required = [
        field
        for field in descriptor.fields
        if field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    ]
    nested = [
        field for field in descriptor.fields if field.message_type and not field.message_type.GetOptions().map_entry
    ]
    return required, nested
