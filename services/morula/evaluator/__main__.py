"""`python -m morula.evaluator`: settings -> servicer -> serve."""

from __future__ import annotations

import asyncio

from morula.common.compute import Slot
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings
from morula.common.telemetry import configure
from morula.evaluator.servicer import EvaluatorServicer


def main() -> None:
    settings = ServiceSettings()
    configure("evaluator", settings.log_level)
    slots = (Slot("evaluator", admit=settings.admit), Slot("truths", admit=settings.admit))
    asyncio.run(serve(settings, [EvaluatorServicer(settings.open_store(), *slots)]))


if __name__ == "__main__":
    main()
