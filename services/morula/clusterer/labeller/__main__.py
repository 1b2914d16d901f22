"""`python -m morula.clusterer.labeller`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

from morula.clusterer.labeller.servicer import LabellerServicer
from morula.common.compute import Slot, cpu_count
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.common.telemetry import configure


def main() -> None:
    settings = ServiceSettings()
    configure("labeller", settings.log_level)
    slot = Slot("labeller", admit=settings.admit)
    servicer = LabellerServicer(settings.open_store(), slot, settings.threads or cpu_count())
    asyncio.run(serve(settings, [servicer]))


if __name__ == "__main__":
    main()
