"""The models that this service runs, by their name in the registry."""

from __future__ import annotations

from collections.abc import Mapping

from morula.segmenter import watershed
from morula.segmenter.instances import Model

MODELS: Mapping[str, Model] = {"watershed": watershed.segment}
