"""`python -m morula.segmenter`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

import cv2

from morula.common.compute import Slot, cpu_count
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.common.telemetry import configure
from morula.segmenter.servicer import SegmenterServicer


def main() -> None:
    settings = ServiceSettings()
    configure("segmenter", settings.log_level)
    cv2.setNumThreads(settings.threads or cpu_count())
    slot = Slot("segmenter", admit=settings.admit)
    asyncio.run(serve(settings, [SegmenterServicer(settings.open_store(), slot)]))


if __name__ == "__main__":
    main()
