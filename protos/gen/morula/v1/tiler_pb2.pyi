from google.api import field_behavior_pb2 as _field_behavior_pb2
from morula.v1 import artifact_pb2 as _artifact_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TileGate(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TILE_GATE_UNSPECIFIED: _ClassVar[TileGate]
    TILE_GATE_DEFAULT: _ClassVar[TileGate]
    TILE_GATE_PAPER: _ClassVar[TileGate]
    TILE_GATE_EVERY: _ClassVar[TileGate]
TILE_GATE_UNSPECIFIED: TileGate
TILE_GATE_DEFAULT: TileGate
TILE_GATE_PAPER: TileGate
TILE_GATE_EVERY: TileGate

class InspectSlideRequest(_message.Message):
    __slots__ = ("slide",)
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    slide: _artifact_pb2.SlideRef
    def __init__(self, slide: _Optional[_Union[_artifact_pb2.SlideRef, _Mapping]] = ...) -> None: ...

class InspectSlideResponse(_message.Message):
    __slots__ = ("width_px", "height_px", "mpp", "objective_power", "mpp_assumed", "vendor", "levels", "stain")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_POWER_FIELD_NUMBER: _ClassVar[int]
    MPP_ASSUMED_FIELD_NUMBER: _ClassVar[int]
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    STAIN_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    mpp: float
    objective_power: float
    mpp_assumed: bool
    vendor: str
    levels: _containers.RepeatedCompositeFieldContainer[SlideLevel]
    stain: _artifact_pb2.Stain
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., mpp: _Optional[float] = ..., objective_power: _Optional[float] = ..., mpp_assumed: _Optional[bool] = ..., vendor: _Optional[str] = ..., levels: _Optional[_Iterable[_Union[SlideLevel, _Mapping]]] = ..., stain: _Optional[_Union[_artifact_pb2.Stain, str]] = ...) -> None: ...

class SlideLevel(_message.Message):
    __slots__ = ("width_px", "height_px", "downsample")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    DOWNSAMPLE_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    downsample: float
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., downsample: _Optional[float] = ...) -> None: ...

class TileGrid(_message.Message):
    __slots__ = ("mpp", "tile_px", "halo_px", "region_tile_count", "origin_x_px", "origin_y_px")
    MPP_FIELD_NUMBER: _ClassVar[int]
    TILE_PX_FIELD_NUMBER: _ClassVar[int]
    HALO_PX_FIELD_NUMBER: _ClassVar[int]
    REGION_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_X_PX_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_Y_PX_FIELD_NUMBER: _ClassVar[int]
    mpp: float
    tile_px: int
    halo_px: int
    region_tile_count: int
    origin_x_px: int
    origin_y_px: int
    def __init__(self, mpp: _Optional[float] = ..., tile_px: _Optional[int] = ..., halo_px: _Optional[int] = ..., region_tile_count: _Optional[int] = ..., origin_x_px: _Optional[int] = ..., origin_y_px: _Optional[int] = ...) -> None: ...

class TileFilter(_message.Message):
    __slots__ = ("gate",)
    GATE_FIELD_NUMBER: _ClassVar[int]
    gate: TileGate
    def __init__(self, gate: _Optional[_Union[TileGate, str]] = ...) -> None: ...

class TileSelection(_message.Message):
    __slots__ = ("include_geojson", "exclude_geojson", "sample_tile_count", "seed", "filter", "find_cores")
    INCLUDE_GEOJSON_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_GEOJSON_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FIND_CORES_FIELD_NUMBER: _ClassVar[int]
    include_geojson: str
    exclude_geojson: str
    sample_tile_count: int
    seed: int
    filter: TileFilter
    find_cores: bool
    def __init__(self, include_geojson: _Optional[str] = ..., exclude_geojson: _Optional[str] = ..., sample_tile_count: _Optional[int] = ..., seed: _Optional[int] = ..., filter: _Optional[_Union[TileFilter, _Mapping]] = ..., find_cores: _Optional[bool] = ...) -> None: ...

class PlanSlideRequest(_message.Message):
    __slots__ = ("slide", "grid", "shard_tile_count", "plan_key", "selection", "stain")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    GRID_FIELD_NUMBER: _ClassVar[int]
    SHARD_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    PLAN_KEY_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    STAIN_FIELD_NUMBER: _ClassVar[int]
    slide: _artifact_pb2.SlideRef
    grid: TileGrid
    shard_tile_count: int
    plan_key: str
    selection: TileSelection
    stain: _artifact_pb2.Stain
    def __init__(self, slide: _Optional[_Union[_artifact_pb2.SlideRef, _Mapping]] = ..., grid: _Optional[_Union[TileGrid, _Mapping]] = ..., shard_tile_count: _Optional[int] = ..., plan_key: _Optional[str] = ..., selection: _Optional[_Union[TileSelection, _Mapping]] = ..., stain: _Optional[_Union[_artifact_pb2.Stain, str]] = ...) -> None: ...

class PlanSlideResponse(_message.Message):
    __slots__ = ("plan", "shard_count", "tile_count", "candidate_tile_count", "mpp", "calibration", "core_count")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    CORE_COUNT_FIELD_NUMBER: _ClassVar[int]
    plan: _artifact_pb2.ObjectRef
    shard_count: int
    tile_count: int
    candidate_tile_count: int
    mpp: float
    calibration: _artifact_pb2.Calibration
    core_count: int
    def __init__(self, plan: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., shard_count: _Optional[int] = ..., tile_count: _Optional[int] = ..., candidate_tile_count: _Optional[int] = ..., mpp: _Optional[float] = ..., calibration: _Optional[_Union[_artifact_pb2.Calibration, _Mapping]] = ..., core_count: _Optional[int] = ...) -> None: ...

class SecondCut(_message.Message):
    __slots__ = ("regions", "halo_px")
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    HALO_PX_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedScalarFieldContainer[int]
    halo_px: int
    def __init__(self, regions: _Optional[_Iterable[int]] = ..., halo_px: _Optional[int] = ...) -> None: ...

class CutShardRequest(_message.Message):
    __slots__ = ("slide", "plan", "shard_index", "tiles_key", "pixels_key", "filter", "second_cut")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    SHARD_INDEX_FIELD_NUMBER: _ClassVar[int]
    TILES_KEY_FIELD_NUMBER: _ClassVar[int]
    PIXELS_KEY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SECOND_CUT_FIELD_NUMBER: _ClassVar[int]
    slide: _artifact_pb2.SlideRef
    plan: _artifact_pb2.ObjectRef
    shard_index: int
    tiles_key: str
    pixels_key: str
    filter: TileFilter
    second_cut: SecondCut
    def __init__(self, slide: _Optional[_Union[_artifact_pb2.SlideRef, _Mapping]] = ..., plan: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., shard_index: _Optional[int] = ..., tiles_key: _Optional[str] = ..., pixels_key: _Optional[str] = ..., filter: _Optional[_Union[TileFilter, _Mapping]] = ..., second_cut: _Optional[_Union[SecondCut, _Mapping]] = ...) -> None: ...

class CutShardResponse(_message.Message):
    __slots__ = ("tiles", "pixels", "kept_tile_count", "rejected_tile_count", "failed_tile_count")
    TILES_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    KEPT_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REJECTED_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    tiles: _artifact_pb2.ObjectRef
    pixels: _artifact_pb2.ObjectRef
    kept_tile_count: int
    rejected_tile_count: int
    failed_tile_count: int
    def __init__(self, tiles: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., pixels: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., kept_tile_count: _Optional[int] = ..., rejected_tile_count: _Optional[int] = ..., failed_tile_count: _Optional[int] = ...) -> None: ...

class RenderRegionRequest(_message.Message):
    __slots__ = ("slide", "x_px", "y_px", "width_px", "height_px", "downsample", "lossless")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    DOWNSAMPLE_FIELD_NUMBER: _ClassVar[int]
    LOSSLESS_FIELD_NUMBER: _ClassVar[int]
    slide: _artifact_pb2.SlideRef
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    downsample: float
    lossless: bool
    def __init__(self, slide: _Optional[_Union[_artifact_pb2.SlideRef, _Mapping]] = ..., x_px: _Optional[int] = ..., y_px: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., downsample: _Optional[float] = ..., lossless: _Optional[bool] = ...) -> None: ...

class RenderRegionResponse(_message.Message):
    __slots__ = ("jpeg", "png")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    PNG_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    png: bytes
    def __init__(self, jpeg: _Optional[bytes] = ..., png: _Optional[bytes] = ...) -> None: ...

class SlidePoint(_message.Message):
    __slots__ = ("x_px", "y_px")
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    x_px: float
    y_px: float
    def __init__(self, x_px: _Optional[float] = ..., y_px: _Optional[float] = ...) -> None: ...

class RenderCellsRequest(_message.Message):
    __slots__ = ("slide", "centres", "window_um", "cell_px")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    CENTRES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_UM_FIELD_NUMBER: _ClassVar[int]
    CELL_PX_FIELD_NUMBER: _ClassVar[int]
    slide: _artifact_pb2.SlideRef
    centres: _containers.RepeatedCompositeFieldContainer[SlidePoint]
    window_um: float
    cell_px: int
    def __init__(self, slide: _Optional[_Union[_artifact_pb2.SlideRef, _Mapping]] = ..., centres: _Optional[_Iterable[_Union[SlidePoint, _Mapping]]] = ..., window_um: _Optional[float] = ..., cell_px: _Optional[int] = ...) -> None: ...

class RenderCellsResponse(_message.Message):
    __slots__ = ("jpeg", "column_count")
    JPEG_FIELD_NUMBER: _ClassVar[int]
    COLUMN_COUNT_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    column_count: int
    def __init__(self, jpeg: _Optional[bytes] = ..., column_count: _Optional[int] = ...) -> None: ...
