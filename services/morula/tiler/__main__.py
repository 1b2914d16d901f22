"""`python -m morula.tiler`: the tiler as a server."""

import asyncio

import cv2

from morula.common import rpc, telemetry
from morula.common.compute import cpu_count
from morula.common.settings import ServiceSettings
from morula.tiler import kernels
from morula.tiler.servicer import TilerServicer


def main() -> None:
    settings = ServiceSettings()
    telemetry.configure("tiler", settings.log_level)
    cv2.setNumThreads(settings.threads or cpu_count())
    servicer = TilerServicer(settings.open_store(), admit=settings.admit)
    try:
        asyncio.run(rpc.serve(settings, [servicer], warm=kernels.warm))
    finally:
        servicer.close()


if __name__ == "__main__":
    main()
