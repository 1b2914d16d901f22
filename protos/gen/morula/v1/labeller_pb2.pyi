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

class Spread(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPREAD_UNSPECIFIED: _ClassVar[Spread]
    SPREAD_MODEL: _ClassVar[Spread]
    SPREAD_CLUSTERS: _ClassVar[Spread]

class PageReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PAGE_REASON_UNSPECIFIED: _ClassVar[PageReason]
    PAGE_REASON_LARGEST_CLUSTER: _ClassVar[PageReason]
    PAGE_REASON_LEAST_SURE: _ClassVar[PageReason]
    PAGE_REASON_REQUESTED: _ClassVar[PageReason]
SPREAD_UNSPECIFIED: Spread
SPREAD_MODEL: Spread
SPREAD_CLUSTERS: Spread
PAGE_REASON_UNSPECIFIED: PageReason
PAGE_REASON_LARGEST_CLUSTER: PageReason
PAGE_REASON_LEAST_SURE: PageReason
PAGE_REASON_REQUESTED: PageReason

class CutTreeRequest(_message.Message):
    __slots__ = ("clustering", "cluster_count")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    clustering: _clusterer_pb2.Clustering
    cluster_count: int
    def __init__(self, clustering: _Optional[_Union[_clusterer_pb2.Clustering, _Mapping]] = ..., cluster_count: _Optional[int] = ...) -> None: ...

class CutTreeResponse(_message.Message):
    __slots__ = ("node_of_leaf", "clusters", "noise")
    NODE_OF_LEAF_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    node_of_leaf: _containers.RepeatedScalarFieldContainer[int]
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterSummary]
    noise: NoiseSummary
    def __init__(self, node_of_leaf: _Optional[_Iterable[int]] = ..., clusters: _Optional[_Iterable[_Union[ClusterSummary, _Mapping]]] = ..., noise: _Optional[_Union[NoiseSummary, _Mapping]] = ...) -> None: ...

class NearCell(_message.Message):
    __slots__ = ("row", "near_node_id")
    ROW_FIELD_NUMBER: _ClassVar[int]
    NEAR_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    row: int
    near_node_id: int
    def __init__(self, row: _Optional[int] = ..., near_node_id: _Optional[int] = ...) -> None: ...

class NoiseSummary(_message.Message):
    __slots__ = ("cell_count", "representatives")
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATIVES_FIELD_NUMBER: _ClassVar[int]
    cell_count: int
    representatives: _containers.RepeatedCompositeFieldContainer[NearCell]
    def __init__(self, cell_count: _Optional[int] = ..., representatives: _Optional[_Iterable[_Union[NearCell, _Mapping]]] = ...) -> None: ...

class ClusterSummary(_message.Message):
    __slots__ = ("node_id", "cell_count", "representative_rows", "supported", "borderline", "outlying_rows")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPRESENTATIVE_ROWS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTED_FIELD_NUMBER: _ClassVar[int]
    BORDERLINE_FIELD_NUMBER: _ClassVar[int]
    OUTLYING_ROWS_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    cell_count: int
    representative_rows: _containers.RepeatedScalarFieldContainer[int]
    supported: bool
    borderline: _containers.RepeatedCompositeFieldContainer[NearCell]
    outlying_rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, node_id: _Optional[int] = ..., cell_count: _Optional[int] = ..., representative_rows: _Optional[_Iterable[int]] = ..., supported: _Optional[bool] = ..., borderline: _Optional[_Iterable[_Union[NearCell, _Mapping]]] = ..., outlying_rows: _Optional[_Iterable[int]] = ...) -> None: ...

class SeenCell(_message.Message):
    __slots__ = ("row", "class_number", "group", "page", "shown_class_number")
    ROW_FIELD_NUMBER: _ClassVar[int]
    CLASS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    SHOWN_CLASS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    row: int
    class_number: int
    group: int
    page: int
    shown_class_number: int
    def __init__(self, row: _Optional[int] = ..., class_number: _Optional[int] = ..., group: _Optional[int] = ..., page: _Optional[int] = ..., shown_class_number: _Optional[int] = ...) -> None: ...

class ClusterName(_message.Message):
    __slots__ = ("node_id", "class_number")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    CLASS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    class_number: int
    def __init__(self, node_id: _Optional[int] = ..., class_number: _Optional[int] = ...) -> None: ...

class LearnLabelsRequest(_message.Message):
    __slots__ = ("clustering", "node_of_leaf", "seen", "names", "class_key", "confidence_key", "model_key")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    NODE_OF_LEAF_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    CLASS_KEY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    clustering: _clusterer_pb2.Clustering
    node_of_leaf: _containers.RepeatedScalarFieldContainer[int]
    seen: _containers.RepeatedCompositeFieldContainer[SeenCell]
    names: _containers.RepeatedCompositeFieldContainer[ClusterName]
    class_key: str
    confidence_key: str
    model_key: str
    def __init__(self, clustering: _Optional[_Union[_clusterer_pb2.Clustering, _Mapping]] = ..., node_of_leaf: _Optional[_Iterable[int]] = ..., seen: _Optional[_Iterable[_Union[SeenCell, _Mapping]]] = ..., names: _Optional[_Iterable[_Union[ClusterName, _Mapping]]] = ..., class_key: _Optional[str] = ..., confidence_key: _Optional[str] = ..., model_key: _Optional[str] = ...) -> None: ...

class LearnLabelsResponse(_message.Message):
    __slots__ = ("class_layer", "confidence_layer", "model", "held_out", "spread", "effective_names", "sure_count", "class_counts")
    CLASS_LAYER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_LAYER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HELD_OUT_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_NAMES_FIELD_NUMBER: _ClassVar[int]
    SURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLASS_COUNTS_FIELD_NUMBER: _ClassVar[int]
    class_layer: _artifact_pb2.ObjectRef
    confidence_layer: _artifact_pb2.ObjectRef
    model: _artifact_pb2.ObjectRef
    held_out: HeldOut
    spread: Spread
    effective_names: _containers.RepeatedCompositeFieldContainer[ClusterName]
    sure_count: int
    class_counts: _containers.RepeatedCompositeFieldContainer[ClassCount]
    def __init__(self, class_layer: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., confidence_layer: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., model: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., held_out: _Optional[_Union[HeldOut, _Mapping]] = ..., spread: _Optional[_Union[Spread, str]] = ..., effective_names: _Optional[_Iterable[_Union[ClusterName, _Mapping]]] = ..., sure_count: _Optional[int] = ..., class_counts: _Optional[_Iterable[_Union[ClassCount, _Mapping]]] = ...) -> None: ...

class HeldOut(_message.Message):
    __slots__ = ("model_macro_f1", "cluster_macro_f1", "constant_macro_f1", "model_accuracy", "cluster_accuracy", "cell_count", "page_count", "accuracy", "low", "high", "constant_accuracy", "named_share")
    MODEL_MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_MACRO_F1_FIELD_NUMBER: _ClassVar[int]
    MODEL_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    PAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    NAMED_SHARE_FIELD_NUMBER: _ClassVar[int]
    model_macro_f1: float
    cluster_macro_f1: float
    constant_macro_f1: float
    model_accuracy: float
    cluster_accuracy: float
    cell_count: int
    page_count: int
    accuracy: float
    low: float
    high: float
    constant_accuracy: float
    named_share: float
    def __init__(self, model_macro_f1: _Optional[float] = ..., cluster_macro_f1: _Optional[float] = ..., constant_macro_f1: _Optional[float] = ..., model_accuracy: _Optional[float] = ..., cluster_accuracy: _Optional[float] = ..., cell_count: _Optional[int] = ..., page_count: _Optional[int] = ..., accuracy: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., constant_accuracy: _Optional[float] = ..., named_share: _Optional[float] = ...) -> None: ...

class ClassCount(_message.Message):
    __slots__ = ("class_number", "cell_count")
    CLASS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    class_number: int
    cell_count: int
    def __init__(self, class_number: _Optional[int] = ..., cell_count: _Optional[int] = ...) -> None: ...

class NextPageRequest(_message.Message):
    __slots__ = ("clustering", "node_of_leaf", "class_layer", "confidence_layer", "seen_rows", "past", "cell_count", "node_id", "seed", "noise")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    NODE_OF_LEAF_FIELD_NUMBER: _ClassVar[int]
    CLASS_LAYER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_LAYER_FIELD_NUMBER: _ClassVar[int]
    SEEN_ROWS_FIELD_NUMBER: _ClassVar[int]
    PAST_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    clustering: _clusterer_pb2.Clustering
    node_of_leaf: _containers.RepeatedScalarFieldContainer[int]
    class_layer: _artifact_pb2.ObjectRef
    confidence_layer: _artifact_pb2.ObjectRef
    seen_rows: _containers.RepeatedScalarFieldContainer[int]
    past: _containers.RepeatedCompositeFieldContainer[PagePlace]
    cell_count: int
    node_id: int
    seed: int
    noise: bool
    def __init__(self, clustering: _Optional[_Union[_clusterer_pb2.Clustering, _Mapping]] = ..., node_of_leaf: _Optional[_Iterable[int]] = ..., class_layer: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., confidence_layer: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., seen_rows: _Optional[_Iterable[int]] = ..., past: _Optional[_Iterable[_Union[PagePlace, _Mapping]]] = ..., cell_count: _Optional[int] = ..., node_id: _Optional[int] = ..., seed: _Optional[int] = ..., noise: _Optional[bool] = ...) -> None: ...

class PagePlace(_message.Message):
    __slots__ = ("node_id", "leaf")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    leaf: int
    def __init__(self, node_id: _Optional[int] = ..., leaf: _Optional[int] = ...) -> None: ...

class NextPageResponse(_message.Message):
    __slots__ = ("cells", "place", "worth", "reason")
    CELLS_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    WORTH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cells: _containers.RepeatedCompositeFieldContainer[PageCell]
    place: PagePlace
    worth: float
    reason: PageReason
    def __init__(self, cells: _Optional[_Iterable[_Union[PageCell, _Mapping]]] = ..., place: _Optional[_Union[PagePlace, _Mapping]] = ..., worth: _Optional[float] = ..., reason: _Optional[_Union[PageReason, str]] = ...) -> None: ...

class PageCell(_message.Message):
    __slots__ = ("row", "class_number", "confidence", "near_node_id")
    ROW_FIELD_NUMBER: _ClassVar[int]
    CLASS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    NEAR_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    row: int
    class_number: int
    confidence: float
    near_node_id: int
    def __init__(self, row: _Optional[int] = ..., class_number: _Optional[int] = ..., confidence: _Optional[float] = ..., near_node_id: _Optional[int] = ...) -> None: ...
