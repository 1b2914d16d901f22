"""The embedders that are always there; networks come with an operator's files."""

from __future__ import annotations

from collections.abc import Mapping

from morula.common.models import find
from morula.embedder.features import SegmentersFeatures
from morula.embedder.instances import Embedder
from morula.embedder.named import NamedColumns, measured

_NAMED = find("morphology", "embedder").columns
MODELS: Mapping[str, Embedder] = {
    "morphology": NamedColumns(_NAMED),
    "morula-nuclei-features": SegmentersFeatures(find("morula-nuclei-features", "embedder")),
}
MORPHOLOGY = tuple(measured(_NAMED))
"""Columns of the table of morphology, which lies beside the vectors of every embedder."""
