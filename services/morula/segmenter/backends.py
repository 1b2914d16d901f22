"""The segmenters that are always there; networks come with an operator's files."""

from __future__ import annotations

from collections.abc import Mapping

from morula.common import imported
from morula.segmenter import imported as of_slide
from morula.segmenter import watershed
from morula.segmenter.instances import Model

MODELS: Mapping[str, Model] = {"watershed": watershed.segment, imported.MODEL: of_slide.segment}
