"""A request for a cohort has room for thousands of slides, however many shards they have."""

from __future__ import annotations

import hashlib
from typing import Any

from morula.common.rpc import MAX_MESSAGE_BYTES
from morula.common.shard_lists import write_shard_list
from morula.gateway.pipeline.clustering import cluster_request
from morula.gateway.pipeline.keys import Shard, SlideKeys
from morula.gateway.pipeline.params import Choices, make_params
from morula.gateway.refs import to_json
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide, ShardCells
from morula.v1.clusterer_pb2 import SettleCellsRequest

PARAMS = make_params(Choices(), 0.25)
SHARDS = [Shard(number, number) for number in range(625)]
KEYS = SlideKeys("default", "d" * 64, PARAMS)


def ref(key: str) -> ObjectRef:
    return ObjectRef(key=key, sha256=hashlib.sha256(key.encode()).hexdigest(), size_bytes=1 << 24)


def settled(keys: SlideKeys = KEYS) -> dict[str, Any]:
    slide = SettledSlide(
        slide_digest=keys.slide_digest,
        index=ref(keys.index(SHARDS)),
        outlines=ref(keys.outlines(SHARDS)),
        shard_list=ref(keys.shard_list(SHARDS, "0" * 64)),
        vectors_digest=keys.vectors_digest(SHARDS),
        cell_count=1_000_000,
    )
    return to_json(slide)


def test_two_thousand_slides_fit_into_one_message() -> None:
    request = cluster_request("default", PARAMS, [settled()] * 2000)
    assert len(request.slides) == 2000
    assert request.ByteSize() < MAX_MESSAGE_BYTES / 20


def test_a_slide_of_a_hundred_thousand_shards_is_settled_by_one_message() -> None:
    kinds = ("cells", "vectors", "morphology")
    named = [ShardCells(**{kind: ref(getattr(KEYS, kind)(shard)) for kind in kinds}) for shard in SHARDS]
    assert len(write_shard_list(named * 160)) > MAX_MESSAGE_BYTES
    assert SettleCellsRequest(shard_list=ref(KEYS.shard_list(SHARDS, "0" * 64))).ByteSize() < 1024


def test_other_vectors_make_another_clustering_of_the_same_cells() -> None:
    slide = settled()
    other = {**slide, "vectors_digest": "0" * 64}
    first, second = (cluster_request("default", PARAMS, [one]).keys.leaf_key for one in (slide, other))
    assert first != second
