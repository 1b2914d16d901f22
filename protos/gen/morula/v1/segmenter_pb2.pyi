from google.api import field_behavior_pb2 as _field_behavior_pb2
from morula.v1 import artifact_pb2 as _artifact_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SegmentParams(_message.Message):
    __slots__ = ("diameter_um", "min_area_um2", "calibration", "flow_threshold", "cellprob_threshold", "niter", "max_size_fraction", "normalize", "augment", "batch", "channels", "keep_rejected", "numerics")
    DIAMETER_UM_FIELD_NUMBER: _ClassVar[int]
    MIN_AREA_UM2_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    FLOW_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CELLPROB_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NITER_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FRACTION_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    AUGMENT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    KEEP_REJECTED_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_FIELD_NUMBER: _ClassVar[int]
    diameter_um: float
    min_area_um2: float
    calibration: _artifact_pb2.Calibration
    flow_threshold: float
    cellprob_threshold: float
    niter: int
    max_size_fraction: float
    normalize: str
    augment: bool
    batch: int
    channels: _containers.RepeatedScalarFieldContainer[str]
    keep_rejected: bool
    numerics: _artifact_pb2.Numerics
    def __init__(self, diameter_um: _Optional[float] = ..., min_area_um2: _Optional[float] = ..., calibration: _Optional[_Union[_artifact_pb2.Calibration, _Mapping]] = ..., flow_threshold: _Optional[float] = ..., cellprob_threshold: _Optional[float] = ..., niter: _Optional[int] = ..., max_size_fraction: _Optional[float] = ..., normalize: _Optional[str] = ..., augment: _Optional[bool] = ..., batch: _Optional[int] = ..., channels: _Optional[_Iterable[str]] = ..., keep_rejected: _Optional[bool] = ..., numerics: _Optional[_Union[_artifact_pb2.Numerics, _Mapping]] = ...) -> None: ...

class MeasureObjectsRequest(_message.Message):
    __slots__ = ("pixels", "model", "calibration", "numerics", "normalize", "channels")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    NUMERICS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    pixels: _artifact_pb2.ObjectRef
    model: _artifact_pb2.ModelRef
    calibration: _artifact_pb2.Calibration
    numerics: _artifact_pb2.Numerics
    normalize: str
    channels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pixels: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., model: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., calibration: _Optional[_Union[_artifact_pb2.Calibration, _Mapping]] = ..., numerics: _Optional[_Union[_artifact_pb2.Numerics, _Mapping]] = ..., normalize: _Optional[str] = ..., channels: _Optional[_Iterable[str]] = ...) -> None: ...

class MeasureObjectsResponse(_message.Message):
    __slots__ = ("diameter_um", "object_count")
    DIAMETER_UM_FIELD_NUMBER: _ClassVar[int]
    OBJECT_COUNT_FIELD_NUMBER: _ClassVar[int]
    diameter_um: float
    object_count: int
    def __init__(self, diameter_um: _Optional[float] = ..., object_count: _Optional[int] = ...) -> None: ...

class SegmentShardRequest(_message.Message):
    __slots__ = ("pixels", "tiles", "model", "params", "cells_key", "imported")
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    CELLS_KEY_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_FIELD_NUMBER: _ClassVar[int]
    pixels: _artifact_pb2.ObjectRef
    tiles: _artifact_pb2.ObjectRef
    model: _artifact_pb2.ModelRef
    params: SegmentParams
    cells_key: str
    imported: _artifact_pb2.ObjectRef
    def __init__(self, pixels: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., tiles: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., model: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., params: _Optional[_Union[SegmentParams, _Mapping]] = ..., cells_key: _Optional[str] = ..., imported: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ...) -> None: ...

class SegmentShardResponse(_message.Message):
    __slots__ = ("cells", "cell_count", "truncated_cell_count", "truncated_regions")
    CELLS_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_REGIONS_FIELD_NUMBER: _ClassVar[int]
    cells: _artifact_pb2.ObjectRef
    cell_count: int
    truncated_cell_count: int
    truncated_regions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, cells: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., cell_count: _Optional[int] = ..., truncated_cell_count: _Optional[int] = ..., truncated_regions: _Optional[_Iterable[int]] = ...) -> None: ...
