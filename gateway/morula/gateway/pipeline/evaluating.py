"""Has a clustering or labels measured against a truth."""

from collections.abc import Mapping
from typing import Any

from morula.common.keys import artifact_key
from morula.gateway.labels.learning import Learning
from morula.gateway.ledger import evaluations, jobs, slides, truths
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.records import Record
from morula.gateway.pipeline.slide_job import Tools
from morula.gateway.pipeline.units import Json, Refs, UnitRunner, WorkUnit
from morula.gateway.refs import from_json, row_ref, to_json
from morula.gateway.views import ClusteringView, Views
from morula.v1.artifact_pb2 import ObjectRef
from morula.v1.evaluator_pb2 import (
    EvaluateClusteringRequest,
    EvaluateClusteringResult,
    EvaluatedLabels,
    EvaluatedSlide,
    EvaluationParams,
)

NUMBERS = "evaluation.json"
REPORT = "report.html"


async def evaluate(tools: Tools, views: Views, learning: Learning, job: Mapping[str, Any]) -> str:
    """Have the evaluation made; the digest of its numbers."""
    runner = UnitRunner(tools.ledger, tools.store, job["id"])
    row = await tools.ledger.read(evaluations.get_evaluation, job["id"])
    request = await runner.outlast(lambda: request_of(tools.ledger, views, learning, job["project_id"], row))
    keys = [request.evaluation_key, request.report_key]

    async def report(done_count: int, total_count: int) -> None:
        # The last unit is done when its result is written down.
        await runner.report("evaluate", min(done_count, total_count - 1), total_count)

    async def call() -> EvaluateClusteringResult:
        return await tools.workers.evaluate_clustering(request, report)

    def find(refs: Refs) -> EvaluateClusteringResult:
        return EvaluateClusteringResult(evaluation=refs[keys[0]], report=refs[keys[1]])

    await runner.add("evaluate", 1)
    made = await runner.make(WorkUnit("evaluate", 0, keys, _made_of(request)), find, call, to_json)
    await runner.report("evaluate", 1, 1)
    result = from_json(made, EvaluateClusteringResult)
    files = [_file(NUMBERS, result.evaluation), _file(REPORT, result.report)]
    await tools.ledger.write(jobs.set_files, job["id"], files)
    return result.evaluation.sha256


async def request_of(
    ledger: Transactions, views: Views, learning: Learning, project: str, row: Record
) -> EvaluateClusteringRequest:
    """What the evaluator is asked for, for this evaluation."""
    view = await views.get(row["clustering_id"])
    cut = await learning.cut(view, row["cluster_count"])
    truth = row_ref(await ledger.read(truths.get_truth, row["truth_id"]))
    request = EvaluateClusteringRequest(
        slides=[await _slide(ledger, view, position) for position in range(len(view.slides))],
        clustering=view.artifacts,
        node_of_leaf=cut.node_of_leaf,
        labels=_labels(row["labels"]) if row["labels"] else None,
        truth=truth,
        params=EvaluationParams(**row["choices"]),
    )
    inputs = [ref.key for ref in _made_of(request)]
    chosen = {
        "choices": row["choices"],
        "cluster_count": row["cluster_count"],
        "labels": row["labels"] and row["labels"]["names"],
        "slides": [[*slide.names, slide.tissue] for slide in request.slides],
    }
    request.evaluation_key = artifact_key(project, view.scope, "evaluation", "json", inputs=inputs, params=chosen)
    request.report_key = artifact_key(project, view.scope, "report", "html", inputs=inputs, params=chosen)
    return request


def _labels(stored: Mapping[str, Any]) -> EvaluatedLabels:
    names = {int(number): name for number, name in stored["names"].items()}
    return EvaluatedLabels(classes=row_ref(stored), names=names)


async def _slide(ledger: Transactions, view: ClusteringView, position: int) -> EvaluatedSlide:
    rows = view.slides[position]
    slide = await ledger.read(slides.get_slide, rows.slide_id)
    names = [slide["name"], slide["id"], slide["digest"]]
    return EvaluatedSlide(settled=rows.settled, names=names, tissue=slide["tissue"] or "")


def _made_of(request: EvaluateClusteringRequest) -> list[ObjectRef]:
    clustering = request.clustering
    refs = [request.truth, clustering.leaf, clustering.tree, clustering.features, clustering.confidence]
    for slide in request.slides:
        refs += [slide.settled.index, slide.settled.outlines]
    return [*refs, request.labels.classes] if request.HasField("labels") else refs


def _file(name: str, ref: ObjectRef) -> Json:
    return {"name": name, "key": ref.key, "sha256": ref.sha256, "size_bytes": ref.size_bytes}
