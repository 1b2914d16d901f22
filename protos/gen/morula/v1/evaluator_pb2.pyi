from google.api import field_behavior_pb2 as _field_behavior_pb2
from morula.v1 import artifact_pb2 as _artifact_pb2
from morula.v1 import clusterer_pb2 as _clusterer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TruthKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRUTH_KIND_UNSPECIFIED: _ClassVar[TruthKind]
    TRUTH_KIND_CELLS: _ClassVar[TruthKind]
    TRUTH_KIND_POINTS: _ClassVar[TruthKind]
    TRUTH_KIND_SHAPES: _ClassVar[TruthKind]

class LeftOutReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEFT_OUT_REASON_UNSPECIFIED: _ClassVar[LeftOutReason]
    LEFT_OUT_REASON_NO_CELLS: _ClassVar[LeftOutReason]
    LEFT_OUT_REASON_BUDGET: _ClassVar[LeftOutReason]
TRUTH_KIND_UNSPECIFIED: TruthKind
TRUTH_KIND_CELLS: TruthKind
TRUTH_KIND_POINTS: TruthKind
TRUTH_KIND_SHAPES: TruthKind
LEFT_OUT_REASON_UNSPECIFIED: LeftOutReason
LEFT_OUT_REASON_NO_CELLS: LeftOutReason
LEFT_OUT_REASON_BUDGET: LeftOutReason

class InspectTruthRequest(_message.Message):
    __slots__ = ("truth",)
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    truth: _artifact_pb2.ObjectRef
    def __init__(self, truth: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ...) -> None: ...

class InspectTruthResponse(_message.Message):
    __slots__ = ("kind", "row_count", "classes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    kind: TruthKind
    row_count: int
    classes: _containers.RepeatedCompositeFieldContainer[TruthClass]
    def __init__(self, kind: _Optional[_Union[TruthKind, str]] = ..., row_count: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[TruthClass, _Mapping]]] = ...) -> None: ...

class TruthClass(_message.Message):
    __slots__ = ("name", "row_count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    row_count: int
    def __init__(self, name: _Optional[str] = ..., row_count: _Optional[int] = ...) -> None: ...

class OfferedSlide(_message.Message):
    __slots__ = ("name", "settled", "tiles")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    TILES_FIELD_NUMBER: _ClassVar[int]
    name: str
    settled: _artifact_pb2.SettledSlide
    tiles: _artifact_pb2.ObjectRef
    def __init__(self, name: _Optional[str] = ..., settled: _Optional[_Union[_artifact_pb2.SettledSlide, _Mapping]] = ..., tiles: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ...) -> None: ...

class SampleTilesRequest(_message.Message):
    __slots__ = ("slides", "batch_count", "cells_per_batch", "seed")
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    BATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    CELLS_PER_BATCH_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    slides: _containers.RepeatedCompositeFieldContainer[OfferedSlide]
    batch_count: int
    cells_per_batch: int
    seed: int
    def __init__(self, slides: _Optional[_Iterable[_Union[OfferedSlide, _Mapping]]] = ..., batch_count: _Optional[int] = ..., cells_per_batch: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class SampleTilesResponse(_message.Message):
    __slots__ = ("tiles", "left_out")
    TILES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    tiles: _containers.RepeatedCompositeFieldContainer[SampledTile]
    left_out: _containers.RepeatedCompositeFieldContainer[TilesLeftOut]
    def __init__(self, tiles: _Optional[_Iterable[_Union[SampledTile, _Mapping]]] = ..., left_out: _Optional[_Iterable[_Union[TilesLeftOut, _Mapping]]] = ...) -> None: ...

class SampledTile(_message.Message):
    __slots__ = ("batch", "slide", "tile", "x_px", "y_px", "width_px", "height_px", "mpp", "cell_ids")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    TILE_FIELD_NUMBER: _ClassVar[int]
    X_PX_FIELD_NUMBER: _ClassVar[int]
    Y_PX_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    CELL_IDS_FIELD_NUMBER: _ClassVar[int]
    batch: int
    slide: int
    tile: int
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    mpp: float
    cell_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, batch: _Optional[int] = ..., slide: _Optional[int] = ..., tile: _Optional[int] = ..., x_px: _Optional[int] = ..., y_px: _Optional[int] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., mpp: _Optional[float] = ..., cell_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class TilesLeftOut(_message.Message):
    __slots__ = ("slide", "reason", "tile_count", "cell_count")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    slide: int
    reason: LeftOutReason
    tile_count: int
    cell_count: int
    def __init__(self, slide: _Optional[int] = ..., reason: _Optional[_Union[LeftOutReason, str]] = ..., tile_count: _Optional[int] = ..., cell_count: _Optional[int] = ...) -> None: ...

class EvaluatedSlide(_message.Message):
    __slots__ = ("settled", "names", "tissue")
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TISSUE_FIELD_NUMBER: _ClassVar[int]
    settled: _artifact_pb2.SettledSlide
    names: _containers.RepeatedScalarFieldContainer[str]
    tissue: str
    def __init__(self, settled: _Optional[_Union[_artifact_pb2.SettledSlide, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ..., tissue: _Optional[str] = ...) -> None: ...

class EvaluationParams(_message.Message):
    __slots__ = ("reach_um", "draw_count", "fold_count", "click_count", "seed")
    REACH_UM_FIELD_NUMBER: _ClassVar[int]
    DRAW_COUNT_FIELD_NUMBER: _ClassVar[int]
    FOLD_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLICK_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    reach_um: float
    draw_count: int
    fold_count: int
    click_count: int
    seed: int
    def __init__(self, reach_um: _Optional[float] = ..., draw_count: _Optional[int] = ..., fold_count: _Optional[int] = ..., click_count: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...

class EvaluatedLabels(_message.Message):
    __slots__ = ("classes", "names")
    class NamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    classes: _artifact_pb2.ObjectRef
    names: _containers.ScalarMap[int, str]
    def __init__(self, classes: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., names: _Optional[_Mapping[int, str]] = ...) -> None: ...

class EvaluateClusteringRequest(_message.Message):
    __slots__ = ("slides", "clustering", "node_of_leaf", "labels", "truth", "params", "evaluation_key", "report_key")
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    NODE_OF_LEAF_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_KEY_FIELD_NUMBER: _ClassVar[int]
    REPORT_KEY_FIELD_NUMBER: _ClassVar[int]
    slides: _containers.RepeatedCompositeFieldContainer[EvaluatedSlide]
    clustering: _clusterer_pb2.Clustering
    node_of_leaf: _containers.RepeatedScalarFieldContainer[int]
    labels: EvaluatedLabels
    truth: _artifact_pb2.ObjectRef
    params: EvaluationParams
    evaluation_key: str
    report_key: str
    def __init__(self, slides: _Optional[_Iterable[_Union[EvaluatedSlide, _Mapping]]] = ..., clustering: _Optional[_Union[_clusterer_pb2.Clustering, _Mapping]] = ..., node_of_leaf: _Optional[_Iterable[int]] = ..., labels: _Optional[_Union[EvaluatedLabels, _Mapping]] = ..., truth: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., params: _Optional[_Union[EvaluationParams, _Mapping]] = ..., evaluation_key: _Optional[str] = ..., report_key: _Optional[str] = ...) -> None: ...

class EvaluateClusteringResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: _artifact_pb2.Progress
    result: EvaluateClusteringResult
    def __init__(self, progress: _Optional[_Union[_artifact_pb2.Progress, _Mapping]] = ..., result: _Optional[_Union[EvaluateClusteringResult, _Mapping]] = ...) -> None: ...

class EvaluateClusteringResult(_message.Message):
    __slots__ = ("evaluation", "report")
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    evaluation: _artifact_pb2.ObjectRef
    report: _artifact_pb2.ObjectRef
    def __init__(self, evaluation: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., report: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ...) -> None: ...

class CompareEvaluationsRequest(_message.Message):
    __slots__ = ("evaluation", "against")
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    AGAINST_FIELD_NUMBER: _ClassVar[int]
    evaluation: EvaluateClusteringRequest
    against: EvaluateClusteringRequest
    def __init__(self, evaluation: _Optional[_Union[EvaluateClusteringRequest, _Mapping]] = ..., against: _Optional[_Union[EvaluateClusteringRequest, _Mapping]] = ...) -> None: ...

class CompareEvaluationsResponse(_message.Message):
    __slots__ = ("comparison",)
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    comparison: bytes
    def __init__(self, comparison: _Optional[bytes] = ...) -> None: ...
