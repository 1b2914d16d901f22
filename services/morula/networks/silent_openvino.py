"""OpenVINO without what talks: it tells its makers of every import, over the network, under a number that it leaves in
the home folder. Where the package that does so cannot be imported it keeps silent, and no slide's machine may talk."""

from __future__ import annotations

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402 - after what keeps it silent

__all__ = ["openvino"]
