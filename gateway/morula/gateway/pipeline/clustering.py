"""Clusters the cells of a slide or a cohort, and publishes the clustering with a labelling to begin with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from morula.common import answers
from morula.common.arrays import read_json
from morula.common.errors import FailedPrecondition, of_artifact
from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.keys import digest
from morula.common.store import Store
from morula.gateway.ledger import clusterings, jobs, label_sets, labels
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.pipeline.keys import clustering_keys
from morula.gateway.pipeline.params import Params
from morula.gateway.pipeline.slide_job import Tools
from morula.gateway.pipeline.units import Json, Refs, UnitRunner, WorkUnit
from morula.gateway.refs import from_json, to_json
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide
from morula.v1.clusterer_pb2 import ClusterCellsRequest, ClusterCellsResult, Clustering


@dataclass(frozen=True)
class Member:
    """A slide of a clustering, with the result of its own job."""

    slide_id: str
    job_id: str
    slide_mpp: float
    settled: Json


def cluster_request(project: str, params: Params, members: Sequence[Json]) -> ClusterCellsRequest:
    """The request to cluster settled slides. Lists in the store name their shards, which are too many for a message."""
    settled = [from_json(member, SettledSlide) for member in members]
    inputs = [key for slide in settled for key in (slide.index.key, vectors_digest(slide))]
    scope = settled[0].slide_digest if len(settled) == 1 else digest([slide.index.key for slide in settled])
    return ClusterCellsRequest(
        slides=settled,
        embedder=params.embedder_ref,
        params=params.clustering,
        keys=clustering_keys(project, scope, inputs, params.clustering, (params.embedder, params.embedder_revision)),
    )


async def cluster(tools: Tools, job_id: str, project: str, params: Params, members: Sequence[Member]) -> Json:
    """Have the cells of these slides clustered; the rows of one slide follow those of another."""
    runner = UnitRunner(tools.ledger, tools.store, job_id)
    request = cluster_request(project, params, [member.settled for member in members])
    keys = {name: getattr(request.keys, f"{name}_key") for name in CLUSTERING_ARTIFACTS}

    async def report(done_count: int, total_count: int) -> None:
        # The last unit is done when its result is written down.
        await runner.report("cluster", min(done_count, total_count - 1), total_count)

    async def call() -> ClusterCellsResult:
        return await tools.workers.cluster_cells(request, report)

    def find(refs: Refs) -> ClusterCellsResult:
        return answers.clustered(tools.store, Clustering(**{name: refs[key] for name, key in keys.items()}))

    await runner.add("cluster", 1)
    made_of = [ref for slide in request.slides for ref in (slide.index, *_shard_refs(slide))]
    result = await runner.make(WorkUnit("cluster", 0, [*keys.values()], made_of), find, call, to_json)
    await runner.report("cluster", 1, 1)
    return result


def vectors_digest(slide: SettledSlide) -> str:
    """Digest of the keys of a slide's vectors."""
    return slide.vectors_digest or digest([shard.vectors.key for shard in slide.shards])


def _shard_refs(slide: SettledSlide) -> list[ObjectRef]:
    return [slide.shard_list] if slide.HasField("shard_list") else [shard.vectors for shard in slide.shards]


def clustering_of(tx: Connection, job_id: str) -> Clustering:
    """The artifacts of a job's clustering, as they are now."""
    source = jobs.get_job(tx, job_id)
    if source["clustering_id"] is None:
        raise FailedPrecondition("The job has no clustering to go on from.", job_id=job_id)
    return from_json(clusterings.get_clustering(tx, source["clustering_id"])["artifacts"], Clustering)


@dataclass(frozen=True)
class TreeFacts:
    """What the ledger keeps of a clustering's tree."""

    feature_names: Sequence[str]
    """Columns of the clustering's features."""
    split: Json | None
    """The node that was split last, and its parts."""
    regrouping: Json | None
    """Which clusters stayed the last time that the rest was grouped anew, and which it falls into."""


def tree_facts(store: Store, result: Json) -> TreeFacts:
    """Of a clustering that was made."""
    ref = from_json(result, ClusterCellsResult).clustering.tree
    with of_artifact(ref.key):
        tree = read_json(store.get(ref.key, ref.sha256))
    split = next(iter(tree.get("splits", [])[-1:]), None)
    return TreeFacts([str(name) for name in tree["feature_names"]], split, tree.get("regrouped"))


def publish(tx: Connection, job_id: str, result: Json, members: Sequence[Member], facts: TreeFacts) -> tuple[str, str]:
    """Make the clustering visible, with a labelling to begin with; the ids of both."""
    job = jobs.get_job(tx, job_id)
    parsed = from_json(result, ClusterCellsResult)
    rows: list[dict[str, Any]] = []
    for member in members:
        start = rows[-1]["row_stop"] if rows else 0
        stop = start + from_json(member.settled, SettledSlide).cell_count
        place = {"row_start": start, "row_stop": stop, "slide_mpp": member.slide_mpp}
        rows.append({"slide_id": member.slide_id, "job_id": member.job_id, "settled": member.settled, **place})
    values = {
        "project_id": job["project_id"],
        "job_id": job_id,
        "name": job["name"],
        "artifacts": to_json(parsed.clustering),
        "cell_count": parsed.cell_count,
        "leaf_count": parsed.leaf_count,
        "noise_count": parsed.noise_count,
        "cluster_count": parsed.cluster_count,
        "structure_found": parsed.structure_found,
        "feature_names": list(facts.feature_names),
        "split": _change_of(job, "split", facts.split),
        "regrouping": _change_of(job, "regrouping", facts.regrouping),
        "mixing": to_json(parsed.mixing) if parsed.HasField("mixing") else None,
    }
    clustering_id = clusterings.create_clustering(tx, values, rows)
    if not _is_as_published(tx, clustering_id, values, rows):
        clusterings.renew_clustering(tx, clustering_id, values, rows)
    known = labels.list_labellings(tx, clustering_id, Slice(1)).rows
    labelling_id = known[0]["id"] if known else _begin_labelling(tx, job, clustering_id, parsed, facts)
    jobs.note_job(tx, job_id, clustering_id=clustering_id, labelling_id=labelling_id, cell_count=parsed.cell_count)
    return clustering_id, labelling_id


def _change_of(job: Record, kind: str, told: Json | None) -> Json | None:
    """What a job of this kind changed; the tree of another may tell of changes that were before it."""
    if job["kind"] != kind or told is None:
        return None
    return {"clustering_id": job["params"]["change_of"], **told}


def _begin_labelling(
    tx: Connection, job: Record, clustering_id: str, result: ClusterCellsResult, facts: TreeFacts
) -> str:
    """An empty labelling: by the project's first label set, or as the one that goes on here, where it is still
    there. Its cut shows the parts of what was split; where the rest was grouped anew, it is the one proposed."""
    source = labels.find_labelling(tx, job["params"].get("labels_of"))
    if source is None:
        label_set_id, cluster_count = label_sets.default_label_set(tx, job["project_id"]), result.cluster_count
    else:
        split = _change_of(job, "split", facts.split)
        more_count = len(split["part_ids"]) - 1 if split else 0
        label_set_id = source["label_set_id"]
        cluster_count = min(source["cluster_count"] + more_count, result.leaf_count)
        if job["kind"] == "regrouping":
            cluster_count = result.cluster_count
    return labels.create_labelling(tx, clustering_id, label_set_id, cluster_count)


def _is_as_published(tx: Connection, clustering_id: str, values: Json, rows: Sequence[Json]) -> bool:
    """Whether all artifacts are as published; False if only their bytes differ. Raises if cells or clusters differ."""
    known, slides = clusterings.get_clustering(tx, clustering_id), clusterings.clustering_slides(tx, clustering_id)
    if _bound_to(known, slides) != _bound_to(values, rows):
        raise FailedPrecondition(
            "Lost results were made again, and the cells or their clusters came out differently from those that were "
            "published and may be labelled, as can happen on another kind of machine. The published ones are lost; "
            "delete the job and start another to have new ones.",
            clustering_id=clustering_id,
        )
    same = known["artifacts"] == values["artifacts"]
    return same and [slide["settled"] for slide in slides] == [row["settled"] for row in rows]


def _bound_to(values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[object]:
    """What labels refer to and what must therefore never change: cells by row, clusters by node."""
    clustering = from_json(values["artifacts"], Clustering)
    settled = [from_json(row["settled"], SettledSlide) for row in rows]
    cells = [(row["slide_id"], slide.cell_count, slide.index.sha256) for row, slide in zip(rows, settled, strict=True)]
    return [cells, values["cell_count"], clustering.leaf.sha256, clustering.tree.sha256]
