"""`python -m morula.segmenter`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

import cv2

from morula.common.compute import Processors, Slot
from morula.common.memory import share_one_heap
from morula.common.models import add_rows
from morula.common.rpc import serve
from morula.common.telemetry import configure
from morula.common.weights import WeightsFolder
from morula.networks.models import Models
from morula.networks.settings import NetworkSettings
from morula.segmenter.backends import MODELS
from morula.segmenter.servicer import SegmenterServicer


def main() -> None:
    share_one_heap()
    settings = NetworkSettings()
    configure("segmenter", settings.log_level)
    processors = Processors(settings.threads)
    # Regions lie beside each other on the processors, a thread each.
    cv2.setNumThreads(1)
    weights = WeightsFolder(settings.weights_dir) if settings.weights_dir else None
    models = Models("segmenter", MODELS, weights, settings.device, settings.batch, processors, settings.runtime)
    add_rows(models.rows)
    slot = Slot("segmenter", settings.admit, at_once=settings.admit)
    servicer = SegmenterServicer(settings.open_store(), slot, models, processors)
    try:
        asyncio.run(serve(settings, [servicer], device_check=models.check))
    finally:
        models.close()


if __name__ == "__main__":
    main()
