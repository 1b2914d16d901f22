"""`python -m morula.embedder`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

import cv2

from morula.common.compute import Slot, cpu_count
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.common.telemetry import configure
from morula.embedder.servicer import EmbedderServicer


def main() -> None:
    settings = ServiceSettings()
    configure("embedder", settings.log_level)
    cv2.setNumThreads(settings.threads or cpu_count())
    slot = Slot("embedder", admit=settings.admit)
    asyncio.run(serve(settings, [EmbedderServicer(settings.open_store(), slot)]))


if __name__ == "__main__":
    main()
