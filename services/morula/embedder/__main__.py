"""`python -m morula.embedder`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

import cv2

from morula.common.compute import Processors, Slot
from morula.common.models import add_rows
from morula.common.rpc import serve
from morula.common.telemetry import configure
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS
from morula.embedder.servicer import EmbedderServicer
from morula.networks.models import Models
from morula.networks.settings import NetworkSettings


def main() -> None:
    settings = NetworkSettings()
    configure("embedder", settings.log_level)
    processors = Processors(settings.threads)
    cv2.setNumThreads(processors.count)
    weights = WeightsFolder(settings.weights_dir) if settings.weights_dir else None
    models = Models("embedder", MODELS, weights, settings.device, settings.batch, processors, settings.runtime)
    add_rows(models.rows)
    servicer = EmbedderServicer(settings.open_store(), Slot("embedder", admit=settings.admit), models)
    try:
        asyncio.run(serve(settings, [servicer], device_check=models.check))
    finally:
        models.close()


if __name__ == "__main__":
    main()
