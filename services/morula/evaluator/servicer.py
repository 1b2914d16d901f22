"""EvaluatorService: keys in, keys out; the work is in `work.py` and the cores."""

from __future__ import annotations

from collections.abc import AsyncIterator

from morula.common.compute import Checkpoint, Slot
from morula.common.progress import Report, with_progress
from morula.common.refs import ref_of
from morula.common.store import Store, Stored
from morula.v1 import artifact_pb2, evaluator_pb2, evaluator_pb2_grpc


class EvaluatorServicer(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """Evaluations on one slot; truths, samples and comparisons on another: who asks for one does not wait for an
    evaluation.

    The libraries of the cores are loaded with the first call, so that what starts a service does not wait for them.
    """

    def __init__(self, store: Store, slot: Slot, truths: Slot) -> None:
        self._store = store
        self._slot = slot
        self._truths = truths

    async def InspectTruth(  # noqa: N802 - the contract's name
        self,
        request: evaluator_pb2.InspectTruthRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> evaluator_pb2.InspectTruthResponse:
        return await self._truths.run(lambda checkpoint: self._inspect(request, checkpoint))

    async def SampleTiles(  # noqa: N802 - the contract's name
        self,
        request: evaluator_pb2.SampleTilesRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> evaluator_pb2.SampleTilesResponse:
        return await self._truths.run(lambda checkpoint: self._sample(request, checkpoint))

    async def EvaluateClustering(  # noqa: N802 - the contract's name
        self,
        request: evaluator_pb2.EvaluateClusteringRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> AsyncIterator[evaluator_pb2.EvaluateClusteringResponse]:
        async for event in with_progress(self._slot, lambda check, report: self._evaluate(request, check, report)):
            if isinstance(event, artifact_pb2.Progress):
                yield evaluator_pb2.EvaluateClusteringResponse(progress=event)
            else:
                yield evaluator_pb2.EvaluateClusteringResponse(result=event)

    async def CompareEvaluations(  # noqa: N802 - the contract's name
        self,
        request: evaluator_pb2.CompareEvaluationsRequest,
        context: object,  # noqa: ARG002 - gRPC's signature
    ) -> evaluator_pb2.CompareEvaluationsResponse:
        return await self._truths.run(lambda checkpoint: self._compare(request, checkpoint))

    def _inspect(
        self, request: evaluator_pb2.InspectTruthRequest, checkpoint: Checkpoint
    ) -> evaluator_pb2.InspectTruthResponse:
        from morula.evaluator import work

        return work.inspect(self._store, request.truth, checkpoint)

    def _sample(
        self, request: evaluator_pb2.SampleTilesRequest, checkpoint: Checkpoint
    ) -> evaluator_pb2.SampleTilesResponse:
        from morula.evaluator import offers

        return offers.sample(self._store, request, checkpoint)

    def _compare(
        self, request: evaluator_pb2.CompareEvaluationsRequest, checkpoint: Checkpoint
    ) -> evaluator_pb2.CompareEvaluationsResponse:
        from morula.evaluator import work

        return evaluator_pb2.CompareEvaluationsResponse(comparison=work.compared(self._store, request, checkpoint))

    def _evaluate(
        self, request: evaluator_pb2.EvaluateClusteringRequest, checkpoint: Checkpoint, report: Report
    ) -> evaluator_pb2.EvaluateClusteringResult:
        from morula.evaluator import work

        stored: list[Stored | None] = [self._store.stat(key) for key in (request.evaluation_key, request.report_key)]
        if None in stored:
            numbers, page = work.measure(self._store, request, checkpoint, report)
            checkpoint()
            stored = [
                self._store.put(key, content)
                for key, content in ((request.evaluation_key, numbers), (request.report_key, page))
            ]
        evaluation, made = (ref_of(one) for one in stored if one is not None)
        return evaluator_pb2.EvaluateClusteringResult(evaluation=evaluation, report=made)
