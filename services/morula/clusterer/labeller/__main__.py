"""`python -m morula.clusterer.labeller`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

from morula.clusterer.labeller.servicer import LabellerServicer
from morula.common.compute import Slot
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.common.telemetry import configure


def main() -> None:
    settings = ServiceSettings()
    configure("labeller", settings.log_level)
    slot = Slot("labeller", admit=settings.admit)
    asyncio.run(serve(settings, [LabellerServicer(settings.open_store(), slot)]))


if __name__ == "__main__":
    main()
