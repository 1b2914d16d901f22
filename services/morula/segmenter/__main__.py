"""`python -m morula.segmenter`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

import cv2

from morula.common.compute import Slot, cpu_count
from morula.common.models import add_rows
from morula.common.rpc import serve
from morula.common.telemetry import configure
from morula.common.weights import WeightsFolder
from morula.segmenter.backends import Networks
from morula.segmenter.servicer import SegmenterServicer
from morula.segmenter.settings import SegmenterSettings


def main() -> None:
    settings = SegmenterSettings()
    configure("segmenter", settings.log_level)
    threads = settings.threads or cpu_count()
    cv2.setNumThreads(threads)
    weights = WeightsFolder(settings.weights_dir) if settings.weights_dir else None
    models = Networks(weights, settings.device, settings.batch, threads)
    add_rows(models.specs)
    slot = Slot("segmenter", admit=settings.admit)
    servicer = SegmenterServicer(settings.open_store(), slot, models)
    try:
        asyncio.run(serve(settings, [servicer], device_check=models.check))
    finally:
        models.close()


if __name__ == "__main__":
    main()
