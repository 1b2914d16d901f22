"""Adds the cells of another slide to a clustering that is there: they get its clusters, and it keeps what was said."""

from functools import partial

from morula.common import answers
from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.keys import digest
from morula.gateway.pipeline.clustering import clustering_of, vectors_digest
from morula.gateway.pipeline.keys import clustering_keys
from morula.gateway.pipeline.params import Params
from morula.gateway.pipeline.slide_job import Tools
from morula.gateway.pipeline.units import Json, Refs, UnitRunner, WorkUnit
from morula.gateway.refs import from_json, to_json
from morula.v1.artifact_pb2 import SettledSlide
from morula.v1.clusterer_pb2 import AssignCellsRequest, AssignCellsResponse, Clustering


async def add(tools: Tools, job_id: str, source_id: str, params: Params, added: Json) -> Json:
    """Have a settled slide added to the clustering of the job `source_id`."""
    runner = UnitRunner(tools.ledger, tools.store, job_id)
    before = await tools.ledger.read(clustering_of, source_id)
    request = _request(before, params, from_json(added, SettledSlide))
    keys = {name: getattr(request.keys, f"{name}_key") for name in CLUSTERING_ARTIFACTS}

    def find(refs: Refs) -> AssignCellsResponse:
        found = Clustering(**{name: refs[key] for name, key in keys.items()})
        return answers.added(tools.store, found, request.slide)

    await runner.add("cluster", 1)
    made_of = [*(getattr(before, name) for name in CLUSTERING_ARTIFACTS), request.slide.index, request.slide.shard_list]
    unit = WorkUnit("cluster", 0, [*keys.values()], made_of)
    result = await runner.make(unit, find, partial(tools.workers.assign_cells, request), to_json)
    both = from_json(result, AssignCellsResponse).clustering
    return to_json(await runner.reach(lambda: answers.clustered(tools.store, both)))


def _request(before: Clustering, params: Params, slide: SettledSlide) -> AssignCellsRequest:
    project = before.leaf.key.split("/")[0]
    inputs = [before.leaf.key, before.tree.key, before.features.key, slide.index.key, vectors_digest(slide)]
    embedder = (params.embedder, params.embedder_revision)
    return AssignCellsRequest(
        clustering=before,
        slide=slide,
        embedder=params.embedder_ref,
        neighbour_count=params.neighbour_count,
        keys=clustering_keys(project, digest(inputs), inputs, params.clustering, embedder),
    )
