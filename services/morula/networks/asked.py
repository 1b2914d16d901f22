"""How a request asks networks to compute."""

from __future__ import annotations

from collections.abc import Mapping

from morula.common.errors import InvalidArgument
from morula.networks.dtypes import Dtype
from morula.v1.artifact_pb2 import Numerics

MOST_THREADS = 1024
DTYPES: Mapping[str, Dtype] = {"": "", "float32": "float32", "bfloat16": "bfloat16"}


def numerics_of(message: Numerics) -> tuple[Dtype, int]:
    """Dtype and number of threads; InvalidArgument where there is none such."""
    if message.dtype not in DTYPES:
        raise InvalidArgument(f"dtype is one of {', '.join(filter(None, DTYPES))}, not {message.dtype[:40]!r}")
    if not 0 <= message.thread_count <= MOST_THREADS:
        raise InvalidArgument(f"thread_count lies in 0 to {MOST_THREADS}")
    return DTYPES[message.dtype], message.thread_count
