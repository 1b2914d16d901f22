"""Changes clusters as people asked for it, one change after the other, from the clustering that cells were given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from morula.common import answers
from morula.common.errors import ArtifactMissing
from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.store import Store, check_sha256
from morula.gateway.pipeline.clustering import clustering_of
from morula.gateway.pipeline.keys import changed_keys
from morula.gateway.pipeline.params import Params
from morula.gateway.pipeline.slide_job import Tools
from morula.gateway.pipeline.units import Json, Refs, UnitRunner, WorkUnit
from morula.gateway.refs import from_json, to_json
from morula.v1.artifact_pb2 import ObjectRef
from morula.v1.clusterer_pb2 import (
    Clustering,
    RegroupCellsRequest,
    RegroupCellsResponse,
    SplitClusterRequest,
    SplitClusterResponse,
)

Answer = SplitClusterResponse | RegroupCellsResponse


@dataclass(frozen=True)
class _Change:
    """One change: what it makes anew of the clustering, what it is made of, and how it is found or asked for."""

    keys: Sequence[str]
    made_of: Sequence[ObjectRef]
    find: Callable[[Refs], Answer]
    call: Callable[[], Awaitable[Answer]]
    answer: type[Answer]


async def change(tools: Tools, job_id: str, source_id: str, params: Params) -> Json:
    """Have the clustering of the job `source_id` changed as `params` say."""
    runner = UnitRunner(tools.ledger, tools.store, job_id)
    begun = await tools.ledger.read(clustering_of, source_id)
    await runner.reach(lambda: _check_there(tools.store, begun))
    wanted = params.changes or []
    await runner.add("cluster", len(wanted))
    changed_so_far = begun
    for number, one in enumerate(wanted):
        asked = (_split if "node_id" in one else _regrouped)(tools, changed_so_far, one, params)
        unit = WorkUnit("cluster", number, asked.keys, asked.made_of)
        answer = await runner.make(unit, asked.find, asked.call, to_json)
        changed_so_far = from_json(answer, asked.answer).clustering
    return to_json(await runner.reach(lambda: answers.clustered(tools.store, changed_so_far)))


def _split(tools: Tools, before: Clustering, wanted: Mapping[str, Any], params: Params) -> _Change:
    asked = {**wanted, "seed": params.seed}
    keys = changed_keys(before, ("leaf", "tree"), asked)
    request = SplitClusterRequest(clustering=before, leaf_key=keys[0], tree_key=keys[1], **asked)
    return _Change(
        keys,
        [before.leaf, before.tree, before.features],
        lambda refs: answers.split(tools.store, before, *(refs[key] for key in keys)),
        partial(tools.workers.split_cluster, request),
        SplitClusterResponse,
    )


def _regrouped(tools: Tools, before: Clustering, wanted: Mapping[str, Any], params: Params) -> _Change:
    asked = {**wanted, "leaf_count": params.clustering.leaf_count, "seed": params.seed}
    keys = changed_keys(before, ("leaf", "tree", "confidence"), asked)
    request = RegroupCellsRequest(
        clustering=before, leaf_key=keys[0], tree_key=keys[1], confidence_key=keys[2], **asked
    )
    return _Change(
        keys,
        [before.leaf, before.tree, before.features, before.confidence],
        lambda refs: answers.regrouped(tools.store, before, *(refs[key] for key in keys)),
        partial(tools.workers.regroup_cells, request),
        RegroupCellsResponse,
    )


def _check_there(store: Store, clustering: Clustering) -> None:
    """Raise for what the new clustering shares with the one before and cannot make again."""
    for name in CLUSTERING_ARTIFACTS:
        ref = getattr(clustering, name)
        stored = store.stat(ref.key)
        if stored is None:
            raise ArtifactMissing(f"{ref.key} is not in the store", key=ref.key)
        check_sha256(ref.key, stored.sha256, ref.sha256)
