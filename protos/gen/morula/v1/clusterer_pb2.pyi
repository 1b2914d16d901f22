from google.api import field_behavior_pb2 as _field_behavior_pb2
from morula.v1 import artifact_pb2 as _artifact_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CellIdentity(_message.Message):
    __slots__ = ("slide_digest", "object_kind", "model", "mpp", "slide_mpp")
    SLIDE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OBJECT_KIND_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    SLIDE_MPP_FIELD_NUMBER: _ClassVar[int]
    slide_digest: str
    object_kind: str
    model: _artifact_pb2.ModelRef
    mpp: float
    slide_mpp: float
    def __init__(self, slide_digest: _Optional[str] = ..., object_kind: _Optional[str] = ..., model: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., mpp: _Optional[float] = ..., slide_mpp: _Optional[float] = ...) -> None: ...

class SettleCellsRequest(_message.Message):
    __slots__ = ("identity", "index_key", "outlines_key", "shard_list")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    INDEX_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTLINES_KEY_FIELD_NUMBER: _ClassVar[int]
    SHARD_LIST_FIELD_NUMBER: _ClassVar[int]
    identity: CellIdentity
    index_key: str
    outlines_key: str
    shard_list: _artifact_pb2.ObjectRef
    def __init__(self, identity: _Optional[_Union[CellIdentity, _Mapping]] = ..., index_key: _Optional[str] = ..., outlines_key: _Optional[str] = ..., shard_list: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ...) -> None: ...

class SettleCellsResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: _artifact_pb2.Progress
    result: SettleCellsResult
    def __init__(self, progress: _Optional[_Union[_artifact_pb2.Progress, _Mapping]] = ..., result: _Optional[_Union[SettleCellsResult, _Mapping]] = ...) -> None: ...

class SettleCellsResult(_message.Message):
    __slots__ = ("settled", "dropped_cell_count", "truncated_cell_count")
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    settled: _artifact_pb2.SettledSlide
    dropped_cell_count: int
    truncated_cell_count: int
    def __init__(self, settled: _Optional[_Union[_artifact_pb2.SettledSlide, _Mapping]] = ..., dropped_cell_count: _Optional[int] = ..., truncated_cell_count: _Optional[int] = ...) -> None: ...

class ClusterParams(_message.Message):
    __slots__ = ("leaf_count", "seed", "neighbour_count", "algorithm", "eps", "layout")
    LEAF_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOUR_COUNT_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    EPS_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    leaf_count: int
    seed: int
    neighbour_count: int
    algorithm: str
    eps: float
    layout: str
    def __init__(self, leaf_count: _Optional[int] = ..., seed: _Optional[int] = ..., neighbour_count: _Optional[int] = ..., algorithm: _Optional[str] = ..., eps: _Optional[float] = ..., layout: _Optional[str] = ...) -> None: ...

class ClusterCellsRequest(_message.Message):
    __slots__ = ("slides", "embedder", "params", "keys")
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    slides: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.SettledSlide]
    embedder: _artifact_pb2.ModelRef
    params: ClusterParams
    keys: ClusteringKeys
    def __init__(self, slides: _Optional[_Iterable[_Union[_artifact_pb2.SettledSlide, _Mapping]]] = ..., embedder: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., params: _Optional[_Union[ClusterParams, _Mapping]] = ..., keys: _Optional[_Union[ClusteringKeys, _Mapping]] = ...) -> None: ...

class ClusteringKeys(_message.Message):
    __slots__ = ("leaf_key", "tree_key", "features_key", "confidence_key", "layout_key")
    LEAF_KEY_FIELD_NUMBER: _ClassVar[int]
    TREE_KEY_FIELD_NUMBER: _ClassVar[int]
    FEATURES_KEY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_KEY_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_KEY_FIELD_NUMBER: _ClassVar[int]
    leaf_key: str
    tree_key: str
    features_key: str
    confidence_key: str
    layout_key: str
    def __init__(self, leaf_key: _Optional[str] = ..., tree_key: _Optional[str] = ..., features_key: _Optional[str] = ..., confidence_key: _Optional[str] = ..., layout_key: _Optional[str] = ...) -> None: ...

class Clustering(_message.Message):
    __slots__ = ("leaf", "tree", "features", "confidence", "layout")
    LEAF_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    leaf: _artifact_pb2.ObjectRef
    tree: _artifact_pb2.ObjectRef
    features: _artifact_pb2.ObjectRef
    confidence: _artifact_pb2.ObjectRef
    layout: _artifact_pb2.ObjectRef
    def __init__(self, leaf: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., tree: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., features: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., confidence: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ..., layout: _Optional[_Union[_artifact_pb2.ObjectRef, _Mapping]] = ...) -> None: ...

class ClusterCellsResponse(_message.Message):
    __slots__ = ("progress", "result")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    progress: _artifact_pb2.Progress
    result: ClusterCellsResult
    def __init__(self, progress: _Optional[_Union[_artifact_pb2.Progress, _Mapping]] = ..., result: _Optional[_Union[ClusterCellsResult, _Mapping]] = ...) -> None: ...

class SlideMixing(_message.Message):
    __slots__ = ("score",)
    SCORE_FIELD_NUMBER: _ClassVar[int]
    score: float
    def __init__(self, score: _Optional[float] = ...) -> None: ...

class Mixing(_message.Message):
    __slots__ = ("score", "low", "high", "slides")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    score: float
    low: float
    high: float
    slides: _containers.RepeatedCompositeFieldContainer[SlideMixing]
    def __init__(self, score: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., slides: _Optional[_Iterable[_Union[SlideMixing, _Mapping]]] = ...) -> None: ...

class ClusterCellsResult(_message.Message):
    __slots__ = ("clustering", "cell_count", "leaf_count", "noise_count", "cluster_count", "structure_found", "mixing")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEAF_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOISE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    STRUCTURE_FOUND_FIELD_NUMBER: _ClassVar[int]
    MIXING_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    cell_count: int
    leaf_count: int
    noise_count: int
    cluster_count: int
    structure_found: bool
    mixing: Mixing
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., cell_count: _Optional[int] = ..., leaf_count: _Optional[int] = ..., noise_count: _Optional[int] = ..., cluster_count: _Optional[int] = ..., structure_found: _Optional[bool] = ..., mixing: _Optional[_Union[Mixing, _Mapping]] = ...) -> None: ...

class SplitClusterRequest(_message.Message):
    __slots__ = ("clustering", "node_id", "part_count", "seed", "leaf_key", "tree_key")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PART_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LEAF_KEY_FIELD_NUMBER: _ClassVar[int]
    TREE_KEY_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    node_id: int
    part_count: int
    seed: int
    leaf_key: str
    tree_key: str
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., node_id: _Optional[int] = ..., part_count: _Optional[int] = ..., seed: _Optional[int] = ..., leaf_key: _Optional[str] = ..., tree_key: _Optional[str] = ...) -> None: ...

class SplitClusterResponse(_message.Message):
    __slots__ = ("clustering", "child_ids")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CHILD_IDS_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    child_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., child_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class RegroupCellsRequest(_message.Message):
    __slots__ = ("clustering", "locked_ids", "cluster_count", "leaf_count", "seed", "leaf_key", "tree_key", "confidence_key")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    LOCKED_IDS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEAF_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LEAF_KEY_FIELD_NUMBER: _ClassVar[int]
    TREE_KEY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_KEY_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    locked_ids: _containers.RepeatedScalarFieldContainer[int]
    cluster_count: int
    leaf_count: int
    seed: int
    leaf_key: str
    tree_key: str
    confidence_key: str
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., locked_ids: _Optional[_Iterable[int]] = ..., cluster_count: _Optional[int] = ..., leaf_count: _Optional[int] = ..., seed: _Optional[int] = ..., leaf_key: _Optional[str] = ..., tree_key: _Optional[str] = ..., confidence_key: _Optional[str] = ...) -> None: ...

class RegroupCellsResponse(_message.Message):
    __slots__ = ("clustering", "cluster_ids")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_IDS_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    cluster_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., cluster_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class AssignCellsRequest(_message.Message):
    __slots__ = ("clustering", "slide", "embedder", "neighbour_count", "keys")
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDER_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOUR_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    clustering: Clustering
    slide: _artifact_pb2.SettledSlide
    embedder: _artifact_pb2.ModelRef
    neighbour_count: int
    keys: ClusteringKeys
    def __init__(self, clustering: _Optional[_Union[Clustering, _Mapping]] = ..., slide: _Optional[_Union[_artifact_pb2.SettledSlide, _Mapping]] = ..., embedder: _Optional[_Union[_artifact_pb2.ModelRef, _Mapping]] = ..., neighbour_count: _Optional[int] = ..., keys: _Optional[_Union[ClusteringKeys, _Mapping]] = ...) -> None: ...

class AssignCellsResponse(_message.Message):
    __slots__ = ("abstained_count", "clustering")
    ABSTAINED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    abstained_count: int
    clustering: Clustering
    def __init__(self, abstained_count: _Optional[int] = ..., clustering: _Optional[_Union[Clustering, _Mapping]] = ...) -> None: ...
