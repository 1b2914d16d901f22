from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAIN_UNSPECIFIED: _ClassVar[Stain]
    STAIN_HE: _ClassVar[Stain]
    STAIN_IHC: _ClassVar[Stain]
    STAIN_FLUORESCENCE: _ClassVar[Stain]
    STAIN_OTHER: _ClassVar[Stain]
STAIN_UNSPECIFIED: Stain
STAIN_HE: Stain
STAIN_IHC: Stain
STAIN_FLUORESCENCE: Stain
STAIN_OTHER: Stain

class ObjectRef(_message.Message):
    __slots__ = ("key", "sha256", "size_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    sha256: str
    size_bytes: int
    def __init__(self, key: _Optional[str] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class SlideFile(_message.Message):
    __slots__ = ("name", "object")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    name: str
    object: ObjectRef
    def __init__(self, name: _Optional[str] = ..., object: _Optional[_Union[ObjectRef, _Mapping]] = ...) -> None: ...

class SlideRef(_message.Message):
    __slots__ = ("digest", "entry", "files", "mpp")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    MPP_FIELD_NUMBER: _ClassVar[int]
    digest: str
    entry: str
    files: _containers.RepeatedCompositeFieldContainer[SlideFile]
    mpp: float
    def __init__(self, digest: _Optional[str] = ..., entry: _Optional[str] = ..., files: _Optional[_Iterable[_Union[SlideFile, _Mapping]]] = ..., mpp: _Optional[float] = ...) -> None: ...

class ModelRef(_message.Message):
    __slots__ = ("name", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class Numerics(_message.Message):
    __slots__ = ("dtype", "thread_count")
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    THREAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    dtype: str
    thread_count: int
    def __init__(self, dtype: _Optional[str] = ..., thread_count: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("done_count", "total_count", "stage")
    DONE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    done_count: int
    total_count: int
    stage: str
    def __init__(self, done_count: _Optional[int] = ..., total_count: _Optional[int] = ..., stage: _Optional[str] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("low", "high", "stain_matrix", "stain_assumed", "stain")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    STAIN_MATRIX_FIELD_NUMBER: _ClassVar[int]
    STAIN_ASSUMED_FIELD_NUMBER: _ClassVar[int]
    STAIN_FIELD_NUMBER: _ClassVar[int]
    low: _containers.RepeatedScalarFieldContainer[float]
    high: _containers.RepeatedScalarFieldContainer[float]
    stain_matrix: _containers.RepeatedScalarFieldContainer[float]
    stain_assumed: bool
    stain: Stain
    def __init__(self, low: _Optional[_Iterable[float]] = ..., high: _Optional[_Iterable[float]] = ..., stain_matrix: _Optional[_Iterable[float]] = ..., stain_assumed: _Optional[bool] = ..., stain: _Optional[_Union[Stain, str]] = ...) -> None: ...

class ShardCells(_message.Message):
    __slots__ = ("cells", "vectors", "morphology")
    CELLS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    MORPHOLOGY_FIELD_NUMBER: _ClassVar[int]
    cells: ObjectRef
    vectors: ObjectRef
    morphology: ObjectRef
    def __init__(self, cells: _Optional[_Union[ObjectRef, _Mapping]] = ..., vectors: _Optional[_Union[ObjectRef, _Mapping]] = ..., morphology: _Optional[_Union[ObjectRef, _Mapping]] = ...) -> None: ...

class ShardList(_message.Message):
    __slots__ = ("shards",)
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    shards: _containers.RepeatedCompositeFieldContainer[ShardCells]
    def __init__(self, shards: _Optional[_Iterable[_Union[ShardCells, _Mapping]]] = ...) -> None: ...

class SettledSlide(_message.Message):
    __slots__ = ("slide_digest", "index", "outlines", "shards", "cell_count", "shard_list", "vectors_digest")
    SLIDE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTLINES_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHARD_LIST_FIELD_NUMBER: _ClassVar[int]
    VECTORS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    slide_digest: str
    index: ObjectRef
    outlines: ObjectRef
    shards: _containers.RepeatedCompositeFieldContainer[ShardCells]
    cell_count: int
    shard_list: ObjectRef
    vectors_digest: str
    def __init__(self, slide_digest: _Optional[str] = ..., index: _Optional[_Union[ObjectRef, _Mapping]] = ..., outlines: _Optional[_Union[ObjectRef, _Mapping]] = ..., shards: _Optional[_Iterable[_Union[ShardCells, _Mapping]]] = ..., cell_count: _Optional[int] = ..., shard_list: _Optional[_Union[ObjectRef, _Mapping]] = ..., vectors_digest: _Optional[str] = ...) -> None: ...
