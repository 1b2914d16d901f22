from google.api import field_behavior_pb2 as _field_behavior_pb2
from morula.v1 import artifact_pb2 as _artifact_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmbedCellsRequest(_message.Message):
    __slots__ = ("pixels", "cells", "model", "calibration", "vectors_key", "morphology_key", "numerics")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    VECTORS_KEY_FIELD_NUMBER: _ClassVar[int]
    MORPHOLOGY_KEY_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_FIELD_NUMBER: _ClassVar[int]
    pixels: _artifact_pb2.ObjectRef
    cells: _artifact_pb2.ObjectRef
    model: _artifact_pb2.ModelRef
    calibration: _artifact_pb2.Calibration
    vectors_key: str
    morphology_key: str
    numerics: _artifact_pb2.Numerics
    def __init__(self, pixels: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., cells: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., model: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., calibration: _Optional[_Union[_artifact_pb2.Calibration, _Mapping]] = ..., vectors_key: _Optional[str] = ..., morphology_key: _Optional[str] = ..., numerics: _Optional[_Union[_artifact_pb2.Numerics, _Mapping]] = ...) -> None: ...

class EmbedCellsResponse(_message.Message):
    __slots__ = ("vectors", "morphology", "cell_count", "dimension_count", "unembedded_cell_count")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    MORPHOLOGY_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNEMBEDDED_CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    vectors: _artifact_pb2.ObjectRef
    morphology: _artifact_pb2.ObjectRef
    cell_count: int
    dimension_count: int
    unembedded_cell_count: int
    def __init__(self, vectors: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., morphology: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., cell_count: _Optional[int] = ..., dimension_count: _Optional[int] = ..., unembedded_cell_count: _Optional[int] = ...) -> None: ...
