from google.api import field_behavior_pb2 as _field_behavior_pb2
from morula.v1 import artifact_pb2 as _artifact_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SegmentParams(_message.Message):
    __slots__ = ("diameter_um", "min_area_um2", "calibration")
    DIAMETER_UM_FIELD_NUMBER: _ClassVar[int]
    MIN_AREA_UM2_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    diameter_um: float
    min_area_um2: float
    calibration: _artifact_pb2.Calibration
    def __init__(self, diameter_um: _Optional[float] = ..., min_area_um2: _Optional[float] = ..., calibration: _Optional[_Union[_artifact_pb2.Calibration, _Mapping]] = ...) -> None: ...

class MeasureObjectsRequest(_message.Message):
    __slots__ = ("pixels", "model", "calibration")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    pixels: _artifact_pb2.ObjectRef
    model: _artifact_pb2.ModelRef
    calibration: _artifact_pb2.Calibration
    def __init__(self, pixels: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., model: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., calibration: _Optional[_Union[_artifact_pb2.Calibration, _Mapping]] = ...) -> None: ...

class MeasureObjectsResponse(_message.Message):
    __slots__ = ("diameter_um", "object_count")
    DIAMETER_UM_FIELD_NUMBER: _ClassVar[int]
    OBJECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    diameter_um: float
    object_count: int
    def __init__(self, diameter_um: _Optional[float] = ..., object_count: _Optional[int] = ...) -> None: ...

class SegmentShardRequest(_message.Message):
    __slots__ = ("pixels", "tiles", "model", "params", "cells_key")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    CELLS_KEY_FIELD_NUMBER: _ClassVar[int]
    pixels: _artifact_pb2.ObjectRef
    tiles: _artifact_pb2.ObjectRef
    model: _artifact_pb2.ModelRef
    params: SegmentParams
    cells_key: str
    def __init__(self, pixels: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., tiles: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., model: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., params: _Optional[_Union[SegmentParams, _Mapping]] = ..., cells_key: _Optional[str] = ...) -> None: ...

class SegmentShardResponse(_message.Message):
    __slots__ = ("cells", "cell_count", "truncated_cell_count")
    CELLS_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    cells: _artifact_pb2.ObjectRef
    cell_count: int
    truncated_cell_count: int
    def __init__(self, cells: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., cell_count: _Optional[int] = ..., truncated_cell_count: _Optional[int] = ...) -> None: ...
