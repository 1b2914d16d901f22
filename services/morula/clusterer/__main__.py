"""`python -m morula.clusterer`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

from morula.clusterer.servicer import ClustererServicer
from morula.common.compute import Slot
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.common.telemetry import configure


def main() -> None:
    settings = ServiceSettings()
    configure("clusterer", settings.log_level)
    slot = Slot("clusterer", admit=settings.admit)
    asyncio.run(serve(settings, [ClustererServicer(settings.open_store(), slot)]))


if __name__ == "__main__":
    main()
