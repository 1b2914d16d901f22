"""Splits clusters that people asked for, one after the other, from the clustering that cells were given."""

from functools import partial

from morula.common import answers
from morula.common.errors import ArtifactMissing
from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.store import Store, check_sha256
from morula.gateway.pipeline.clustering import clustering_of
from morula.gateway.pipeline.keys import split_keys
from morula.gateway.pipeline.params import Params
from morula.gateway.pipeline.slide_job import Tools
from morula.gateway.pipeline.units import Json, Refs, UnitRunner, WorkUnit
from morula.gateway.refs import from_json, to_json
from morula.v1.clusterer_pb2 import Clustering, SplitClusterRequest, SplitClusterResponse


async def split(tools: Tools, job_id: str, source_id: str, params: Params) -> Json:
    """Have the clusters of `params` split, beginning with the clustering of the job `source_id`."""
    runner = UnitRunner(tools.ledger, tools.store, job_id)
    begun = await tools.ledger.read(clustering_of, source_id)
    await runner.reach(lambda: _check_there(tools.store, begun))
    wanted = params.splits or []
    await runner.add("cluster", len(wanted))
    split_so_far = begun
    for number, one in enumerate(wanted):
        answer = await _split(
            tools, runner, number, _request(split_so_far, one["node_id"], one["part_count"], params.seed)
        )
        split_so_far = from_json(answer, SplitClusterResponse).clustering
    return to_json(await runner.reach(lambda: answers.clustered(tools.store, split_so_far)))


async def _split(tools: Tools, runner: UnitRunner, number: int, request: SplitClusterRequest) -> Json:
    before, keys = request.clustering, (request.leaf_key, request.tree_key)

    def find(refs: Refs) -> SplitClusterResponse:
        return answers.split(tools.store, before, *(refs[key] for key in keys))

    unit = WorkUnit("cluster", number, keys, [before.leaf, before.tree, before.features])
    return await runner.make(unit, find, partial(tools.workers.split_cluster, request), to_json)


def _request(before: Clustering, node_id: int, part_count: int, seed: int) -> SplitClusterRequest:
    leaf_key, tree_key = split_keys(before, node_id, part_count, seed)
    wanted = {"node_id": node_id, "part_count": part_count, "seed": seed}
    return SplitClusterRequest(clustering=before, leaf_key=leaf_key, tree_key=tree_key, **wanted)


def _check_there(store: Store, clustering: Clustering) -> None:
    """Raise for what the new clustering shares with the one before and cannot make again."""
    for name in CLUSTERING_ARTIFACTS:
        ref = getattr(clustering, name)
        stored = store.stat(ref.key)
        if stored is None:
            raise ArtifactMissing(f"{ref.key} is not in the store", key=ref.key)
        check_sha256(ref.key, stored.sha256, ref.sha256)
