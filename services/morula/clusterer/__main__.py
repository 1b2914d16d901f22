"""`python -m morula.clusterer`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

from morula.clusterer.servicer import ClustererServicer
from morula.common.compute import Slot
from morula.common.models import add_rows
from morula.common.rpc import serve
from morula.common.settings import ModelSettings
from morula.common.telemetry import configure
from morula.common.weights import WeightsFolder


def main() -> None:
    settings = ModelSettings()
    configure("clusterer", settings.log_level)
    if settings.weights_dir:
        add_rows(WeightsFolder(settings.weights_dir).rows())
    slot = Slot("clusterer", admit=settings.admit)
    asyncio.run(serve(settings, [ClustererServicer(settings.open_store(), slot)]))


if __name__ == "__main__":
    main()
