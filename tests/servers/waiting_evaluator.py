"""An evaluator with whose help an evaluation stays where it is for as long as a test likes."""

from __future__ import annotations

import threading
import time

from morula.common.compute import Checkpoint, Slot
from morula.common.progress import Report
from morula.common.store import Store
from morula.evaluator.servicer import EvaluatorServicer
from morula.v1.evaluator_pb2 import EvaluateClusteringRequest, EvaluateClusteringResult
from tests.servers.gateway import Services


class WaitingEvaluator(EvaluatorServicer):
    """Works only once it may."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, Slot("evaluator"), Slot("truths"))
        self.entered = threading.Event()
        self.go = threading.Event()

    def _evaluate(
        self, request: EvaluateClusteringRequest, checkpoint: Checkpoint, report: Report
    ) -> EvaluateClusteringResult:
        self.entered.set()
        while not self.go.is_set():
            checkpoint()
            time.sleep(0.01)
        return super()._evaluate(request, checkpoint, report)


async def start_waiting_evaluator(running: Services) -> WaitingEvaluator:
    """In place of the one that runs."""
    await running.stop("evaluator")
    evaluator = WaitingEvaluator(running.store)
    await running.start("evaluator", evaluator)
    return evaluator
